// Drives the console of a hub in Chromium: node console.mjs '{"ready": …}'.
// ready: the hub's own line. attacker: the address that the attack comes from. screenshots: a folder, or null.
// chromium: its path. A line "ask WHAT" on stdout is answered with one line of JSON on stdin: see hub/browser.rs.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { connect } from "node:tls";
import puppeteer from "puppeteer-core";

const plan = JSON.parse(process.argv[2]);
const url = new URL(plan.ready.console);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const password = "violin under seven bridges";

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const ask = async (what) => {
  console.log(`ask ${what}`);
  const { value, done } = await answers.next();
  assert.ok(!done, `no answer to ${what}`);
  return JSON.parse(value);
};

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
  executablePath: plan.chromium, headless: true, acceptInsecureCerts: true, protocolTimeout: 60000,
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
const open = (page, path) => page.goto(new URL(path, url).href, { waitUntil: "load" });
const path = (page) => new URL(page.url()).pathname;
const text = (page) => page.$eval("main", (main) => main.innerText);
const submit = (page, selector) => Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.click(selector)]);
const fill = async (page, fields) => { for (const [name, value] of Object.entries(fields)) await page.type(`[name="${name}"]`, value); };

/** No serious or critical violation in what is shown. */
const unblemished = async (page, what) => {
  // Run through the debugger, past the page's policy, which forbids foreign scripts.
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const bad = found.violations.filter((it) => ["serious", "critical"].includes(it.impact));
  assert.deepEqual(bad.map((it) => `${it.id}: ${it.nodes.slice(0, 3).map((node) => node.html + " " + node.failureSummary).join(" | ")}`), [], what);
};

/** No serious or critical violation, in both languages, light and dark; no page wider than a tablet. */
const accessible = async (page, where) => {
  for (const [lang, theme] of [["ja", "light"], ["en", "dark"]]) {
    await open(page, `${where}${where.includes("?") ? "&" : "?"}lang=${lang}&theme=${theme}`);
    assert.equal(await page.$eval("html", (html) => html.lang), lang);
    await unblemished(page, `${where} ${lang} ${theme}`);
  }
  await page.setViewport({ width: 768, height: 1024 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${where} is ${wide} px wider than a tablet`);
  await page.setViewport({ width: 1280, height: 900 });
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
  return { secret, codes };
};

const accept = async (name, code) => {
  const page = await person();
  await open(page, "/invited?lang=en");
  await fill(page, { code, name, password });
  await submit(page, "main form button[type=submit]");
  if (path(page) === "/account/totp") await setUpTotp(page);
  return page;
};

const arm = async (page, kind) => {
  await open(page, `/settings/arm?kind=${kind}&class=sensor&armed=yes&lang=en`);
  await submit(page, "#confirm");
  assert.equal(path(page), "/settings");
};

/** The page as it lies open, never loaded again, says this sooner or later. */
const comes = async (page, ...parts) => {
  await page.waitForFunction((parts) => parts.every((part) => document.querySelector("main").innerText.includes(part)), {}, parts)
    .catch(async () => assert.fail(`${parts.join(", ")} never comes: ${await text(page)}`));
  assert.equal(await page.evaluate(() => window.opened), "once", "the page was loaded again");
};
const lieOpen = async (page, where) => {
  await open(page, where);
  await page.evaluate(() => { window.opened = "once"; });
};

/** The card of a countermeasure: its number, once it is there. */
const measure = async (page, words) => Number(await page.$$eval("main article", (all, words) =>
  all.find((it) => it.querySelector("h2, h3").innerText.includes(words)).id.replace("countermeasure-", ""), words));
const card = (page, id) => page.$eval(`#countermeasure-${id}`, (it) => it.innerText);

const csrf = (page) => page.$eval("[name=csrf]", (it) => it.value).catch(() => "");
const post = (page, to, fields) => page.evaluate(async (to, fields) => {
  const answer = await fetch(to, { method: "POST", body: new URLSearchParams(fields), redirect: "manual" });
  return answer.type === "opaqueredirect" ? 303 : answer.status;
}, to, fields);

const steps = {
  async "the certificate is the one whose fingerprint the hub printed"() {
    const socket = connect({ host: url.hostname, port: url.port, rejectUnauthorized: false });
    const seen = await new Promise((told, failed) => socket.on("secureConnect", () => told(socket.getPeerCertificate().fingerprint256)).on("error", failed));
    socket.destroy();
    const plain = (text) => text.replace(/[^0-9a-f]/gi, "").toLowerCase();
    assert.equal(plain(seen), plain(plan.ready.fingerprint));
  },
  async "first run with the printed code, second factor, recovery codes"(at) {
    at.admin = await person();
    await open(at.admin, "/?lang=en");
    assert.equal(path(at.admin), "/first-run");
    await fill(at.admin, { code: "AAAA-AAAA-AAAA-AAAA-AAAA", name: "chief", password });
    await submit(at.admin, "main form button[type=submit]");
    assert.ok(await at.admin.$("[role=alert]"), "a wrong code is told");
    await open(at.admin, "/first-run");
    await fill(at.admin, { code: plan.ready.setup_code, name: "chief", password });
    await submit(at.admin, "main form button[type=submit]");
    Object.assign(at, await setUpTotp(at.admin));
  },
  async "log out; a wrong password is refused, the second factor or a recovery code lets in"(at) {
    await submit(at.admin, "header form button");
    await fill(at.admin, { name: "chief", password: "wrong wrong wrong", code: at.codes[0] });
    await submit(at.admin, "main form button[type=submit]");
    assert.ok(await at.admin.$("[role=alert]"));
    await open(at.admin, "/login?next=/incidents");
    await fill(at.admin, { name: "chief", password, code: at.codes[1] });
    await submit(at.admin, "main form button[type=submit]");
    assert.equal(path(at.admin), "/incidents");
    await submit(at.admin, "header form button");
    // The code of this step was used up by setting it up; the next one is taken ahead of its time.
    await fill(at.admin, { name: "chief", password, code: oneTime(at.secret, 1) });
    await submit(at.admin, "main form button[type=submit]");
    assert.equal(path(at.admin), "/");
  },
  async "the sentence of the hub is measured, the watcher that does not run is named"(at) {
    await open(at.admin, "/?lang=en");
    const told = await text(at.admin);
    for (const part of ["If everything were encrypted now, you would lose", "measured by restoring", "None is open", "mail"]) assert.ok(told.includes(part), `${part}: ${told}`);
    await open(at.admin, "/?lang=ja");
    assert.ok((await text(at.admin)).includes("いますべてが暗号化された場合"));
    await open(at.admin, "/protected?lang=en");
    assert.ok((await text(at.admin)).includes("restored and read completely was proven"));
  },
  async "people of every role are invited, over the console and on the command line"(at) {
    await open(at.admin, "/people?lang=en");
    await fill(at.admin, { "new-name": "operator" });
    await at.admin.select("#new-role", "operator");
    await submit(at.admin, 'form[action="/people/add"] button');
    at.operator = await accept("operator", await at.admin.$eval("#shown-once", (it) => it.textContent));
    for (const name of ["viewer", "clinician"]) at[name] = await accept(name, await ask(`invite ${name}`));
  },
  async "the administrator arms what may be done"(at) {
    for (const kind of ["block_address", "isolate_host", "lock_vault", "start_viewer"]) await arm(at.admin, kind);
    assert.deepEqual(await ask("tables"), "", "arming alone changes nothing");
  },
  async "an attack appears on a page that lies open"(at) {
    await lieOpen(at.viewer, "/?lang=en");
    await lieOpen(at.operator, "/incidents?lang=en");
    await ask("attack");
    await comes(at.viewer, plan.attacker, "Waits for approval", "critical severity");
    await comes(at.operator, plan.attacker);
    await submit(at.operator, 'main a[href="/incidents/1"]');
  },
  async "the incident tells its story in the order of an attack, and what is not known"(at) {
    const page = at.operator;
    await lieOpen(page, "/incidents/1?lang=en");
    await comes(page, "External Remote Services", "Remote Desktop Protocol", "Data Encrypted for Impact", "What we do not know", "Lock the vault");
    const told = await page.$$eval("ol.story li", (all) => all.map((it) => it.innerText));
    assert.deepEqual(["T1133", "T1021.001", "T1486"].map((id) => told.findIndex((it) => it.includes(id))), [0, 1, 2], told.join("\n"));
    assert.ok((await page.$eval("#samples-list", (it) => it.textContent)).includes("12 of 12 files no longer decode"));
    at.block = await measure(page, "Block an address");
    at.isolate = await measure(page, "Isolate a machine");
    await comes(page, "Start the read-only chart viewer");
    at.start = await measure(page, "Start the read-only chart viewer");
    await page.waitForFunction((id) => document.getElementById(`countermeasure-${id}`).innerText.includes("in force"), {}, at.start);
    assert.deepEqual([await ask("set ban4"), await ask("set isolate4")], [[], []], "nothing is done before somebody approves");
  },
  async "screenshots"(at) {
    if (!plan.screenshots) return;
    for (const [lang, ending] of [["en", ""], ["ja", ".ja"]]) for (const [where, name] of [["/", "console"], ["/incidents/1", "console-incident"]]) {
      await open(at.admin, `${where}?lang=${lang}&theme=light`);
      await at.admin.screenshot({ path: `${plan.screenshots}/${name}${ending}.png`, fullPage: false });
    }
  },
  async "what a role may not do is not shown, and refused when forged"(at) {
    const { block, start } = at;
    const tries = {
      viewer: [`/countermeasures/${block}/approve`, `/countermeasures/${block}/reject`, `/countermeasures/${start}/undo`, "/incidents/1/mark", "/protected/run", "/watchers/restart", "/ledger/export", "/settings/arm", "/people/add", "/people/token", "/act", "/hosts/reconnect"],
      clinician: [`/countermeasures/${block}/approve`, `/countermeasures/${start}/undo`, "/incidents/1/mark", "/protected/run", "/settings/arm", "/ledger/verify", "/people/token"],
      operator: ["/settings/arm", "/people/add", "/people/change"],
    };
    const closed = { viewer: ["/charts", "/people", "/audit"], clinician: ["/people", "/audit", "/incidents/1/report", "/api"], operator: ["/charts", "/audit"] };
    for (const [role, paths] of Object.entries(tries)) {
      const page = at[role];
      await open(page, "/incidents/1?lang=en");
      const offered = await page.$$eval("a, form", (all) => all.map((it) => it.getAttribute("action") ?? it.getAttribute("href")));
      for (const to of paths) {
        assert.ok(!offered.includes(to), `${role} is shown ${to}`);
        assert.equal(await post(page, to, { csrf: await csrf(page), to: "closed", kind: "freeze", class: "guard", armed: "yes" }), 403, `${role} ${to}`);
      }
      for (const to of closed[role]) {
        assert.ok(!offered.includes(to), `${role} is shown ${to}`);
        assert.equal((await open(page, to)).status(), 403, `${role} ${to}`);
      }
      // The right role with a wrong token is refused, too.
      assert.equal(await post(page, "/account/language", { csrf: "forged", to: "en" }), 403);
    }
    assert.deepEqual([await ask("set ban4"), await ask("set isolate4")], [[], []]);
  },
  async "charts are read by those who may, with a code that nobody else is shown"(at) {
    const page = at.clinician;
    await open(page, "/charts?lang=en");
    assert.ok((await text(page)).includes("proven by restoring"), await text(page));
    const code = await page.$eval("#entrance-code", (it) => it.textContent);
    for (const [who, where] of [["operator", "/incidents/1"], ["viewer", "/incidents/1"], ["viewer", "/approvals"], ["viewer", "/incidents/1/report"], ["viewer", "/ledger"]]) {
      await open(at[who], where);
      assert.ok(!(await at[who].content()).includes(code), `${where} shows the code to ${who}`);
    }
    await submit(page, "#entrance");
    // The hub's accounts open charts; without one the code opens them for an hour, with a reason.
    await fill(page, { who: "clinician", password });
    await submit(page, "form.enter button");
    await submit(page, 'a[href*="/chart/"]');
    assert.ok(/\/chart\//.test(page.url()) && (await page.$eval("body", (it) => it.innerText)).length > 200);
  },
  async "approve with the keyboard alone, and it is so"(at) {
    const page = at.operator;
    await open(page, "/incidents/1?lang=en");
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
    await until(`a[href="/countermeasures/${at.block}/approve"]`);
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    assert.ok((await text(page)).includes("Nothing comes from or goes to this address"), "the consequence stands there in words");
    await until("#confirm");
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    const told = await card(page, at.block);
    assert.ok(told.includes("in force") && told.includes("operator"), told);
    assert.deepEqual([await ask("set ban4"), await ask("set isolate4")], [[plan.attacker], []]);
  },
  async "undo, and it is so"(at) {
    await submit(at.operator, `a[href="/countermeasures/${at.block}/undo"]`);
    await submit(at.operator, "#confirm");
    assert.ok((await card(at.operator, at.block)).includes("taken back"));
    assert.deepEqual(await ask("set ban4"), []);
  },
  async "a page that lies open is brought up to date and keeps its place"(at) {
    const page = at.viewer;
    await lieOpen(page, "/incidents/1?lang=en");
    await page.focus("#samples-list summary");
    await page.keyboard.press("Enter");
    await open(at.operator, `/countermeasures/${at.isolate}/approve`);
    await submit(at.operator, "#confirm");
    await page.waitForFunction((id) => document.getElementById(`countermeasure-${id}`).innerText.includes("in force"), {}, at.isolate);
    const kept = await page.evaluate(() => [document.activeElement.localName, document.getElementById("samples-list").open, window.opened]);
    assert.deepEqual(kept, ["summary", true, "once"], "focus and what was opened are kept");
    await page.waitForFunction(() => document.getElementById("notice").textContent.includes("updated"));
    assert.deepEqual(await ask("set isolate4"), [plan.attacker]);
    await open(at.operator, `/countermeasures/${at.isolate}/undo`);
    await submit(at.operator, "#confirm");
    assert.deepEqual(await ask("set isolate4"), []);
  },
  async "what nobody proposed is planned by hand and confirmed; a host comes back only when it is proven clean"(at) {
    const page = at.operator;
    await open(page, "/approvals?lang=en");
    await submit(page, 'main a[href="/act"]');
    await fill(page, { address: "10.9.0.44", because: "its screen shows a note" });
    await submit(page, "main form [type=submit]");
    assert.match(path(page), /^\/countermeasures\/\d+\/approve$/);
    assert.ok((await text(page)).includes("its screen shows a note"), await text(page));
    assert.deepEqual(await ask("set isolate4"), []);
    const undo = path(page).replace("approve", "undo");
    await submit(page, "#confirm");
    assert.deepEqual(await ask("set isolate4"), ["10.9.0.44"]);
    await submit(page, 'form[action="/hosts/reconnect"] button');
    assert.ok((await text(page)).includes("nothing can be proven of it"), await text(page));
    assert.deepEqual(await ask("set isolate4"), ["10.9.0.44"]);
    await open(page, undo);
    await submit(page, "#confirm");
    assert.deepEqual(await ask("set isolate4"), []);
    assert.equal(await post(page, "/act", { csrf: await csrf(page), act: "isolate_host", address: "10.9.0.44" }), 400);
    assert.equal(await post(page, "/act", { csrf: await csrf(page), act: "isolate_host", address: "the server", because: "it" }), 400);
  },
  async "somebody gets another role, and the last administrator keeps theirs"(at) {
    const page = at.admin;
    const role = async (name, role) => {
      await open(page, "/people?lang=en");
      await page.select(`#role-${name}`, role);
      const form = await page.$(`form:has(#role-${name})`);
      await Promise.all([page.waitForNavigation({ waitUntil: "load" }), form.$eval("button", (it) => it.click())]);
    };
    await role("clinician", "viewer");
    assert.equal(await page.$eval("#role-clinician", (it) => it.value), "viewer");
    await role("chief", "viewer");
    await open(page, "/people?lang=en");
    assert.equal(await page.$eval("#role-chief", (it) => it.value), "admin");
  },
  async "the incident is closed, and its report tells what happened in both languages"(at) {
    const page = at.operator;
    await open(page, "/incidents/1/mark?to=closed&lang=en");
    await submit(page, "main form [type=submit]");
    await open(page, "/incidents/1?lang=en");
    assert.ok((await text(page)).includes("nothing. It is closed."), await text(page));
    await open(page, "/incidents?status=closed");
    assert.ok(await page.$('main a[href="/incidents/1"]'));
    const parts = {
      en: ["INC-0001", plan.attacker, "A log-in over the VPN from a place not seen before", "T1486", "12 of 12 files no longer decode", `Block ${plan.attacker}: done`, "operator", "taken back", "closed", "patients", "what the watcher net"],
      ja: ["INC-0001", plan.attacker, "これまでにない場所からのVPNログイン", "12件中12件のファイルが解読不能になりました", `${plan.attacker} の遮断`, "operator", "終了", "インシデント報告書"],
    };
    for (const lang of ["en", "ja"]) {
      const answer = await open(page, `/incidents/1/report?lang=${lang}`);
      const html = await answer.text();
      for (const part of parts[lang]) assert.ok(html.includes(part), `${lang}: ${part}: ${html}`);
      // The page forbids every script, axe's as well: its copy is looked at.
      const copy = await person();
      await copy.setContent(html);
      await unblemished(copy, `the report in ${lang}`);
      await copy.close();
    }
  },
  async "every page is accessible in both languages, light and dark, and fits a tablet"(at) {
    const pages = ["/", "/incidents", "/incidents/1", "/incidents/1/mark?to=open", "/approvals", "/act", `/countermeasures/${at.start}/undo`, "/protected", "/charts", "/watchers",
      "/settings", "/settings/arm?kind=lock_vault&class=guard&armed=yes", "/people", "/ledger", "/audit", "/account", "/account/totp", "/api", "/again", "/nowhere"];
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
