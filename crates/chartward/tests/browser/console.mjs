// Drives the console in Chromium: node console.mjs '{"url": …, "setUpCode": …}'.
// url, setUpCode: of the hub under test. invited: [{name, code}] of accounts named by their role. incident: the number
// of an open incident with at least two proposed countermeasures. screenshots: a folder, or null. chromium: its path.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import puppeteer from "puppeteer-core";

const plan = JSON.parse(process.argv[2]);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const password = "violin under seven bridges";
const pages = ["/", "/incidents", `/incidents/${plan.incident}`, "/approvals", "/countermeasures/2/approve", "/protected", "/watchers",
  "/settings", "/settings/arm?kind=lock_vault&class=guard&armed=yes", "/people", "/ledger", "/audit", "/account", "/account/totp", "/api", "/again", "/nowhere"];

/** RFC 6238, SHA-1, 30 seconds, six digits. */
const oneTime = (secret, step = 0) => {
  const bits = [...secret.replace(/[^A-Z2-7]/g, "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + step));
  const mac = createHmac("sha1", key).update(counter).digest();
  const at = mac[19] & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1000000).padStart(6, "0");
};

const browser = await puppeteer.launch({
  executablePath: plan.chromium, headless: true, acceptInsecureCerts: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en"],
});

/** A browser of its own for one person. Whatever the console's pages complain about ends the test. */
const person = async () => {
  const page = await (await browser.createBrowserContext()).newPage();
  await page.setExtraHTTPHeaders({ "accept-language": "en" });
  await page.setViewport({ width: 1280, height: 900 });
  page.setDefaultTimeout(15000);
  page.on("pageerror", (error) => { throw error; });
  page.on("console", (message) => assert.ok(!/Content.Security.Policy/i.test(message.text()), message.text()));
  return page;
};
const open = (page, path) => page.goto(plan.url + path, { waitUntil: "load" });
const path = (page) => new URL(page.url()).pathname;
const text = (page) => page.$eval("main", (main) => main.innerText);
const submit = (page, selector) => Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.click(selector)]);
const fill = async (page, fields) => { for (const [name, value] of Object.entries(fields)) await page.type(`[name="${name}"]`, value); };

/** No serious or critical violation, in both languages, light and dark, also on a tablet; no page wider than its screen. */
const accessible = async (page, where) => {
  for (const lang of ["ja", "en"]) for (const theme of ["light", "dark"]) {
    await open(page, `${where}${where.includes("?") ? "&" : "?"}lang=${lang}&theme=${theme}`);
    assert.equal(await page.$eval("html", (html) => html.lang), lang);
    // Run through the debugger, past the page's policy, which forbids foreign scripts.
    await page.evaluate(axe);
    const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    const bad = found.violations.filter((it) => ["serious", "critical"].includes(it.impact));
    assert.deepEqual(bad.map((it) => `${it.id}: ${it.nodes.slice(0, 3).map((node) => node.html + " " + node.failureSummary).join(" | ")}`), [], `${where} ${lang} ${theme}`);
  }
  await page.setViewport({ width: 768, height: 1024 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${where} is ${wide} px wider than a tablet`);
  await page.setViewport({ width: 1280, height: 900 });
  await open(page, "/?lang=en&theme=light");
};

const setUpTotp = async (page) => {
  assert.equal(path(page), "/account/totp");
  const secret = await page.$eval("#totp-secret", (it) => it.textContent);
  await fill(page, { code: oneTime(secret) });
  await submit(page, "main form button[type=submit]");
  const codes = await page.$$eval("#recovery-codes code", (all) => all.map((it) => it.textContent));
  assert.equal(codes.length, 10);
  await page.click("[name=kept]");
  await submit(page, "main form button[type=submit]");
  assert.equal(path(page), "/");
  return codes;
};

const accept = async ({ name, code }) => {
  const page = await person();
  await open(page, "/invited?lang=en");
  await fill(page, { code, name, password });
  await submit(page, "main form button[type=submit]");
  if (path(page) === "/account/totp") await setUpTotp(page);
  return page;
};

const csrf = (page) => page.$eval("[name=csrf]", (it) => it.value).catch(() => "");
const post = (page, to, fields) => page.evaluate(async (to, fields) => {
  const answer = await fetch(to, { method: "POST", body: new URLSearchParams(fields), redirect: "manual" });
  return answer.type === "opaqueredirect" ? 303 : answer.status;
}, to, fields);

const steps = {
  async "first run, second factor, recovery codes"(at) {
    at.admin = await person();
    await open(at.admin, "/?lang=en");
    assert.equal(path(at.admin), "/first-run");
    await fill(at.admin, { code: "AAAA-AAAA-AAAA-AAAA-AAAA", name: "chief", password });
    await submit(at.admin, "main form button[type=submit]");
    assert.ok(await at.admin.$("[role=alert]"), "a wrong code is told");
    await open(at.admin, "/first-run");
    await fill(at.admin, { code: plan.setUpCode, name: "chief", password });
    await submit(at.admin, "main form button[type=submit]");
    at.codes = await setUpTotp(at.admin);
  },
  async "log out, log in with a recovery code, a wrong password is refused"(at) {
    await submit(at.admin, "header form button");
    await fill(at.admin, { name: "chief", password: "wrong wrong wrong", code: at.codes[0] });
    await submit(at.admin, "main form button[type=submit]");
    assert.ok(await at.admin.$("[role=alert]"));
    await open(at.admin, "/login?next=/incidents");
    await fill(at.admin, { name: "chief", password, code: at.codes[1] });
    await submit(at.admin, "main form button[type=submit]");
    assert.equal(path(at.admin), "/incidents");
  },
  async "the sentence, the alarm and the next step stand on the first page"(at) {
    await open(at.admin, "/?lang=en");
    const told = await text(at.admin);
    for (const part of ["If everything were encrypted now", "Next:", "Alarms", "Waits for approval"]) assert.ok(told.includes(part), part);
    await open(at.admin, "/?lang=ja");
    assert.ok((await text(at.admin)).includes("いますべてが暗号化された場合"));
    await open(at.admin, "/?lang=en");
  },
  async "what a role may not do is not shown, and refused when forged"(at) {
    for (const invited of plan.invited) at[invited.name] = await accept(invited);
    const tries = {
      viewer: ["/countermeasures/1/approve", "/countermeasures/1/undo", `/incidents/${plan.incident}/mark`, "/protected/run", "/watchers/restart", "/ledger/export", "/settings/arm", "/people/add", "/people/token"],
      clinician: ["/countermeasures/1/approve", `/incidents/${plan.incident}/mark`, "/settings/arm", "/ledger/verify", "/people/token"],
      operator: ["/settings/arm", "/people/add", "/people/change"],
    };
    for (const [role, paths] of Object.entries(tries)) {
      const page = at[role];
      await open(page, `/incidents/${plan.incident}?lang=en`);
      const offered = await page.$$eval("main a, main form", (all) => all.map((it) => it.getAttribute("action") ?? it.getAttribute("href")));
      for (const to of paths) {
        assert.ok(!offered.includes(to), `${role} is shown ${to}`);
        assert.equal(await post(page, to, { csrf: await csrf(page), to: "closed", kind: "freeze", class: "guard", armed: "yes" }), 403, `${role} ${to}`);
      }
      // The right role with a wrong token is refused, too.
      assert.equal(await post(page, "/account/language", { csrf: "forged", to: "en" }), 403);
    }
  },
  async "screenshots"(at) {
    if (!plan.screenshots) return;
    for (const [lang, ending] of [["en", ""], ["ja", ".ja"]]) for (const [where, name] of [["/", "console"], [`/incidents/${plan.incident}`, "console-incident"]]) {
      await open(at.admin, `${where}?lang=${lang}&theme=light`);
      await at.admin.screenshot({ path: `${plan.screenshots}/${name}${ending}.png`, fullPage: false });
    }
  },
  async "approve with the keyboard alone, and see it"(at) {
    const page = at.operator;
    await open(page, `/incidents/${plan.incident}?lang=en`);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
    await page.keyboard.press("Enter");
    const until = async (wanted) => {
      for (let n = 0; n < 60; n++) {
        await page.keyboard.press("Tab");
        if (await page.evaluate((wanted) => document.activeElement.matches(wanted), wanted)) return;
      }
      assert.fail(`no way to ${wanted} with the keyboard`);
    };
    await until('a[href="/countermeasures/1/approve"]');
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    assert.ok((await text(page)).includes("loses the network"), "the consequence stands there in words");
    await until("#confirm");
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    const card = await page.$eval("#countermeasure-1", (it) => it.innerText);
    assert.ok(card.includes("in force") && card.includes("operator"), card);
  },
  async "undo, and see it"(at) {
    await submit(at.operator, 'a[href="/countermeasures/1/undo"]');
    await submit(at.operator, "#confirm");
    assert.ok((await at.operator.$eval("#countermeasure-1", (it) => it.innerText)).includes("taken back"));
  },
  async "a page that lies open is brought up to date"(at) {
    const page = at.viewer;
    await open(page, `/incidents/${plan.incident}?lang=en`);
    await page.focus("#samples-list summary");
    await page.keyboard.press("Enter");
    await open(at.operator, "/countermeasures/2/approve");
    await submit(at.operator, "#confirm");
    await page.waitForFunction(() => document.getElementById("countermeasure-2").innerText.includes("in force"));
    const kept = await page.evaluate(() => [document.activeElement.localName, document.getElementById("samples-list").open]);
    assert.deepEqual(kept, ["summary", true], "focus and what was opened are kept");
    await page.waitForFunction(() => document.getElementById("notice").textContent.includes("updated"));
  },
  async "every page is accessible in both languages, light and dark, and fits a tablet"(at) {
    for (const where of pages) await accessible(at.admin, where);
    const stranger = await person();
    for (const where of ["/login", "/invited"]) await accessible(stranger, where);
  },
};

let code = 0;
try {
  const at = {};
  for (const [name, step] of Object.entries(steps)) {
    const began = Date.now();
    await step(at).catch((error) => { error.message = `${name}: ${error.message}`; throw error; });
    console.log(`ok ${name} (${Date.now() - began} ms)`);
  }
} catch (error) {
  console.error(error);
  code = 1;
} finally {
  await browser.close();
}
process.exit(code);
