// Drives the downtime viewer in Chromium: node viewer.mjs '{"url": …}'.
// url, code: the viewer's own. patient: {id, name, kana, hiragana, allergy} of somebody on a ward. nurse: an account
// that may read charts, {name, password}; null where the viewer knows no accounts. screenshots: a folder, or null.
// chromium: its path.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import puppeteer from "puppeteer-core";

const plan = JSON.parse(process.argv[2]);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const { patient } = plan;

const browser = await puppeteer.launch({
  executablePath: plan.chromium, headless: true, acceptInsecureCerts: true, protocolTimeout: 120000,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=ja"],
});
process.on("SIGTERM", () => browser.close().finally(() => process.exit(1)));

/** A browser of its own for one person. Whatever the pages complain about ends the test. */
const person = async (lang, script = true) => {
  const page = await (await browser.createBrowserContext()).newPage();
  await page.setJavaScriptEnabled(script);
  await page.setExtraHTTPHeaders({ "accept-language": lang });
  await page.setViewport({ width: 1280, height: 900 });
  page.setDefaultTimeout(60000);
  page.on("pageerror", (error) => { throw error; });
  page.on("console", (message) => assert.ok(!/Content.Security.Policy/i.test(message.text()), message.text()));
  return page;
};
const open = (page, path) => page.goto(new URL(path, plan.url).href, { waitUntil: "load" });
const path = (page) => decodeURIComponent(new URL(page.url()).pathname);
const text = (page) => page.$eval("body", (body) => body.innerText);
const says = async (page, ...parts) => { const all = await text(page); for (const part of parts) assert.ok(all.includes(part), `${part} is not on ${page.url()}: ${all.slice(0, 3000)}`); };
const submit = (page, selector) => Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.click(selector)]);
const press = (page, key) => Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.keyboard.press(key)]);
const fill = async (page, form, fields) => { for (const [name, value] of Object.entries(fields)) await page.type(`${form} [name="${name}"]`, value); };
const shot = async (page, name, height = 720) => {
  if (!plan.screenshots) return;
  const before = page.viewport();
  if (before.width > 1000) await page.setViewport({ width: 1100, height });
  await page.screenshot({ path: `${plan.screenshots}/${name}.png`, captureBeyondViewport: false });
  await page.setViewport(before);
};

/** No violation that axe can find, in both languages, light and dark, large type; no page wider than a tablet. */
const accessible = async (page, where) => {
  for (const [lang, theme, size] of [["ja", "light", "normal"], ["en", "dark", "large"]]) {
    await open(page, `/look?lang=${lang}&theme=${theme}&size=${size}&to=${encodeURIComponent(where)}`);
    assert.equal(await page.$eval("html", (html) => html.lang), lang);
    await page.evaluate(axe);
    const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    const bad = found.violations.filter((it) => ["serious", "critical"].includes(it.impact));
    assert.deepEqual(bad.map((it) => `${it.id}: ${it.nodes.slice(0, 3).map((node) => node.html + " " + node.failureSummary).join(" | ")}`), [], `${where} ${lang} ${theme}`);
    await page.setViewport({ width: 768, height: 1024 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${where} ${size} is ${wide} px wider than a tablet`);
    await page.setViewport({ width: 1280, height: 900 });
  }
  await open(page, "/look?theme=auto&size=normal&lang=ja&to=/");
};

const come_in = async (page, how) => {
  await open(page, "/");
  if (how.password) await fill(page, "form[action='/enter']:has([name=password])", { who: how.name, password: how.password });
  else await fill(page, "form[action='/enter']:has([name=code])", { code: plan.code, who: how.name });
  await submit(page, how.password ? "form:has([name=password]) button.main" : "form:has([name=code]) button.main");
};
const way_in = plan.nurse ?? { name: "看護 花子" };

const scenes = {
  async "by kana, with the keyboard alone, from the list to allergies and the course of a value"() {
    const page = await person("ja");
    await open(page, "/");
    await shot(page, plan.nurse ? "charts-entrance-ja" : "charts-entrance-code-ja", 520);
    await come_in(page, way_in);
    await says(page, "データ時点", "記録なし ≠ なし");
    await page.keyboard.press("/");
    await page.keyboard.type(patient.hiragana);
    await press(page, "Enter");
    await says(page, patient.name, patient.id);
    await shot(page, "charts-search-ja", 420);
    await page.keyboard.press("ArrowDown");
    for (let tries = 0; tries < 100; tries += 1) {
      if ((await page.evaluate(() => document.activeElement.getAttribute("href"))).endsWith(patient.id)) break;
      await page.keyboard.press("ArrowDown");
    }
    await press(page, "Enter");
    assert.equal(path(page), `/chart/${patient.id}`);
    await says(page, patient.name, patient.kana, "データ時点", "記録なし ≠ なし", "スナップショット");
    await shot(page, "charts-chart-ja");
    await page.keyboard.press("g");
    await page.keyboard.press("a");
    assert.ok((await page.$eval("#allergies", (it) => it.innerText)).includes(patient.allergy));
    assert.equal(await page.evaluate(() => document.activeElement.id), "allergies");
    await page.keyboard.press("g");
    await page.keyboard.press("l");
    const plots = await page.$$eval("#labs svg.plot", (all) => all.map((it) => [it.getAttribute("aria-label"), it.querySelectorAll(".dot, .out").length]));
    assert.ok(plots.length > 0 && plots.every(([label, points]) => label.length > 5 && points > 1), JSON.stringify(plots));
    await shot(page, "charts-labs-ja");
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => location.pathname.startsWith("/ward/"));
    await says(page, patient.name);
    await shot(page, "charts-ward-ja");
    await page.keyboard.press("g");
    await press(page, "w");
    assert.equal(path(page), "/wards");
    await press(page, "?");
    assert.equal(path(page), "/help");
    await says(page, "キー操作");
    await page.keyboard.press("g");
    await press(page, "e");
    await says(page, "Keys", "Signs");
  },

  async "next and previous patients of the ward"() {
    const page = await person("ja");
    await come_in(page, way_in);
    await open(page, `/chart/${patient.id}`);
    await submit(page, "[data-keys=Escape]");
    const beds = await page.$$eval("[data-row]", (all) => all.map((it) => new URL(it.href).pathname));
    assert.ok(beds.length > 1 && beds.includes(`/chart/${patient.id}`), JSON.stringify(beds));
    await open(page, beds[0]);
    assert.equal(await page.$("[data-keys=p]"), null);
    for (const bed of beds.slice(1, 4)) {
      await press(page, "n");
      assert.equal(path(page), bed);
    }
    await press(page, "p");
    assert.equal(path(page), beds[Math.min(beds.length - 1, 3) - 1]);
  },

  async "without a script, in English"() {
    const page = await person("en", false);
    await come_in(page, way_in);
    await page.type("#q", patient.kana);
    await submit(page, ".find button");
    await says(page, patient.name, "Data as of", "not recorded ≠ none");
    await submit(page, `a[href$="${patient.id}"]`);
    await says(page, "Allergies", patient.allergy, "Laboratory", "Data as of", "Snapshot");
    assert.ok(await page.$("#labs svg.plot"));
    await page.click("#labs details summary");
    assert.ok((await page.$eval("#labs details", (it) => it.open)) === true);
    await shot(page, "charts-chart-en");
    await page.type("#q", "no such person");
    await submit(page, ".find button");
    await says(page, "Nobody was found");
    await open(page, "/chart/..%2f..%2fetc");
    await says(page, "No such patient");
    await submit(page, ".leave button");
    await says(page, plan.nurse ? "With your account" : "Code of this viewer");
    await open(page, `/chart/${patient.id}`);
    assert.equal(path(page), "/");
  },

  async "legible on a tablet, in the dark, in large type, and for who hears the page"() {
    const page = await person("ja");
    await open(page, "/");
    await accessible(page, "/");
    await come_in(page, way_in);
    for (const where of ["/", `/?q=${encodeURIComponent(patient.kana)}`, "/?q=zzz", "/wards", "/help", `/chart/${patient.id}`]) await accessible(page, where);
    await open(page, `/look?theme=dark&size=large&to=/chart/${patient.id}`);
    await page.setViewport({ width: 768, height: 1024 });
    await shot(page, "charts-tablet-dark-ja");
  },
};

if (plan.nurse) {
  scenes["an emergency access needs a reason, says until when, and is told"] = async () => {
    const page = await person("ja");
    await open(page, "/");
    await page.click(".ways summary");
    const form = "details form";
    await fill(page, form, { code: plan.code, who: "当直 一郎" });
    await page.$eval(`${form} [name=reason]`, (field) => field.removeAttribute("required"));
    await submit(page, `${form} button`);
    await says(page, "理由の入力が必要です");
    // What was typed stands there still, but for the code.
    assert.equal(await page.$eval(`${form} [name=who]`, (field) => field.value), "当直 一郎");
    await fill(page, form, { code: "wrong-code-123", reason: "急変のため確認" });
    await submit(page, `${form} button`);
    await says(page, "コードが正しくありません");
    await shot(page, "charts-emergency-ja");
    await fill(page, form, { code: plan.code });
    await submit(page, `${form} button`);
    await says(page, "緊急アクセス", "まで", "管理者に通知");
    await open(page, `/chart/${patient.id}`);
    await says(page, patient.name, "緊急アクセス");
    await open(page, "/emergencies");
    assert.equal(path(page), "/", "only administrators see who came in");
  };
  scenes["what an account has to know"] = async () => {
    const page = await person("en");
    await open(page, "/");
    const form = "form[action='/enter']:has([name=password])";
    await fill(page, form, { who: plan.nurse.name, password: "not the password of anybody" });
    await submit(page, `${form} button`);
    await says(page, "the name, the password or the one-time code is wrong");
  };
}

try {
  for (const [name, scene] of Object.entries(scenes)) {
    await scene();
    console.log(`ok ${name}`);
  }
} finally {
  await browser.close();
}
