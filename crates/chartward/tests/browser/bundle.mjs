// Opens a static bundle in Chromium as a ward does: node bundle.mjs '{"dir": …}'.
// dir: the bundle. passphrase: its own. work: a folder of the test's. patient: whom to find (id, name, kana, typed: the same in
// hiragana, born, ward, allergy, lab). screenshots: a folder, or null. chromium: its path. The files of notes that the page gave out lie in
// work/downloads afterwards. renew: the command that exports under a new key. strayed: a bundle that locks itself after ten seconds, with a
// part of its edition before.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const { dir, passphrase, work, patient, screenshots, chromium, strayed, renew } = JSON.parse(process.argv[2]);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const downloads = join(work, "downloads");
const profile = join(work, "profile");
mkdirSync(downloads, { recursive: true });

let browser = null;
const launch = async () => {
  browser = await puppeteer.launch({
    executablePath: chromium, headless: true, userDataDir: profile, protocolTimeout: 90000,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en", "--disable-features=Translate"],
  });
};
process.on("SIGTERM", () => { browser?.process()?.kill("SIGKILL"); process.exit(1); });

/** A page of the bundle. Nothing may be asked of any network, and no script may fail. */
const opened = async (bundle = dir) => {
  const page = await browser.newPage();
  await page.setViewport({ width: 1180, height: 860 });
  page.setDefaultTimeout(60000);
  page.on("pageerror", (error) => { throw error; });
  page.on("console", (message) => assert.ok(!/Content.Security.Policy/i.test(message.text()), message.text()));
  page.on("request", (request) => assert.match(request.url(), /^(file|blob|data):/, request.url()));
  page.on("dialog", (dialog) => dialog.accept());
  const session = await page.createCDPSession();
  await session.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: downloads });
  await page.goto(pathToFileURL(join(bundle, "index.html")).href, { waitUntil: "load" });
  return page;
};
const text = (page, selector = "#app") => page.$eval(selector, (element) => element.innerText);
const until = (page, what) => page.waitForFunction((what) => document.body.innerText.includes(what), {}, what);
const english = async (page) => { if ((await page.$eval("#lang", (it) => it.textContent)) === "English") await page.click("#lang"); };
const enter = async (page, typed, who = "Yamada") => {
  await page.waitForSelector("#who");
  await page.type("#who", who);
  await page.type("#passphrase", typed);
  await page.keyboard.press("Enter");
};
const unlocked = async (bundle = dir) => {
  const page = await opened(bundle);
  await english(page);
  await enter(page, passphrase);
  await page.waitForSelector("#search");
  return page;
};
const find = async (page, typed) => {
  await page.keyboard.press("/");
  await page.$eval("#search", (it) => { it.value = ""; });
  await page.type("#search", typed);
  await page.waitForSelector("#count");
};
const shown = (page) => page.$$eval(".found tr", (rows) => rows.map((row) => row.cells[0].innerText));
const fill = async (page, id, value) => {
  await page.$eval(`#${id}`, (it) => { it.value = ""; });
  await page.type(`#${id}`, value);
};
const picture = async (page, name) => {
  if (!screenshots) return;
  // The folders of a test are nobody's.
  await page.evaluate(() => {
    const all = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (all.nextNode()) all.currentNode.data = all.currentNode.data.replace(/\/tmp\/[^/ ]+/g, "/srv");
  });
  await page.screenshot({ path: join(screenshots, `${name}.png`) });
};

/** No violation that axe can find, light and dark. */
const accessible = async (page, where) => {
  for (const theme of ["light", "dark"]) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
    await page.evaluate(axe);
    const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"], preload: false }));
    const bad = found.violations.filter((it) => ["serious", "critical"].includes(it.impact));
    assert.deepEqual(bad.map((it) => `${it.id}: ${it.nodes.slice(0, 3).map((node) => node.html + " " + node.failureSummary).join(" | ")}`), [], `${where} ${theme}`);
  }
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
};

// The door.
await launch();
let page = await opened();
await page.waitForSelector("#door");
assert.match(await text(page), /パスフレーズ/, "it opens in the language of its export");
await english(page);
assert.match(await text(page), /Passphrase of this medium/);
await enter(page, "not the passphrase");
await until(page, "does not open this bundle");
assert.ok(!(await page.content()).includes(patient.name));
await enter(page, passphrase);
await page.waitForSelector("#search");
assert.match(await text(page), /not recorded ≠ none/);

// Found by kana as it is typed, by id, name, birth date; the same for every spelling.
for (const typed of [patient.typed, patient.kana, patient.halfwidth, patient.id, patient.name, `${patient.typed} ${patient.born}`, `${patient.kana} ${patient.born.replaceAll("-", "")}`]) {
  await find(page, typed);
  assert.ok((await shown(page)).includes(patient.id), `${typed}: ${await text(page, "#found")}`);
}
await find(page, "nobody-of-that-name");
assert.match(await text(page, "#found"), /does not mean that there is no chart/);
await page.keyboard.press("Escape");
const wards = await page.$$eval("#wards button", (all) => all.map((it) => it.innerText));
assert.ok(wards.some((ward) => ward.startsWith(`${patient.ward} (`)), wards.join());

// The chart, by keyboard alone.
await find(page, patient.id);
await page.keyboard.press("ArrowDown");
await page.keyboard.press("ArrowUp");
await accessible(page, "search");
await picture(page, "bundle-search");
await page.keyboard.press("Enter");
await page.waitForSelector("#chart header");
let chart = await text(page);
for (const said of [patient.name, patient.allergy, patient.lab, "not recorded ≠ none", "NOT PROVEN", "Allergies"]) assert.ok(chart.includes(said), said);
const facts = await page.$eval("#chart .facts", (it) => getComputedStyle(it).display);
assert.equal(facts, "flex", "the chart looks as it does in the viewer");
await accessible(page, "chart");
await picture(page, "bundle-chart");
await page.click("#lang");
chart = await text(page);
for (const said of [patient.name, patient.allergy, patient.lab, "記録なし ≠ なし", "未確認", "アレルギー"]) assert.ok(chart.includes(said), said);
await page.click("#lang");
await until(page, "Allergies");
await page.emulateMediaType("print");
assert.equal(await page.$eval(".bar", (it) => getComputedStyle(it).display), "none", "paper shows no buttons");
assert.ok((await text(page, "tfoot")).includes(`ID ${patient.id}`), "each printed page says whose it is");
await page.emulateMediaType(null);

// A note that is refused for each of its faults, then taken.
await page.keyboard.press("n");
await page.waitForSelector("#note-form");
await accessible(page, "note");
await fill(page, "field-temperature", "98.6");
await page.click("#note-take");
await until(page, "20 to 46");
assert.match(await text(page, ".faults"), /two identifiers/);
await fill(page, "field-temperature", "３７．２");
await fill(page, "field-pulse", "88");
await page.click("#check-name");
await page.click("#check-birth_date");
await page.click("#note-take");
await page.waitForFunction(() => !document.querySelector("#note-form"));
await until(page, "37.2");

// A draft, and the browser is killed a moment after the last key.
await page.keyboard.press("n");
await page.click("#kind-text");
await page.type("#field-text", "痛みの訴えあり。経過観察。draft");
await until(page, "Draft kept");
await page.waitForFunction(() => document.querySelector("#draft-state").innerText !== "");
await new Promise((resolve) => setTimeout(resolve, 300));
browser.process().kill("SIGKILL");
await new Promise((resolve) => browser.process().once("exit", resolve));
for (const lock of ["SingletonLock", "SingletonCookie", "SingletonSocket"]) rmSync(join(profile, lock), { force: true });
await launch();
page = await unlocked();
await until(page, "Notes (1)");
await find(page, patient.id);
await page.keyboard.press("Enter");
await page.waitForSelector("#note-form");
assert.equal(await page.$eval("#field-text", (it) => it.value), "痛みの訴えあり。経過観察。draft", "the draft is there");
await page.click("#check-id");
await page.click("#check-name");
await page.click("#note-take");
await page.waitForFunction(() => !document.querySelector("#note-form"));

// An order, a drug that was not given, and somebody who is in no chart.
await page.keyboard.press("n");
await page.click("#kind-order");
await page.select("#field-order", "lab");
await page.type("#field-what", "CBC, CRP");
await page.click("#check-id");
await page.click("#check-birth_date");
await page.click("#note-take");
await page.waitForFunction(() => !document.querySelector("#note-form"));
await page.keyboard.press("n");
await page.click("#kind-given");
await page.type("#field-drug", "ワーファリン錠1mg");
await page.select("#field-was_given", "no");
await page.click("#check-id");
await page.click("#check-name");
await page.click("#note-take");
await until(page, "why it was not given");
await page.type("#field-remark", "PT-INR 高値のため");
await picture(page, "bundle-note");
await page.click("#note-take");
await page.waitForFunction(() => !document.querySelector("#note-form"));
await page.keyboard.press("Escape");
await page.waitForSelector("#unknown");
await page.click("#unknown");
await page.type("#new-number", "DT-0042");
await page.type("#new-name", "氏名不詳");
await page.click("#check-downtime_number");
await page.click("#check-name");
await fill(page, "field-pulse", "120");
await page.click("#note-take");
await page.waitForSelector("#export");

// A mistaken note is replaced, not changed.
await page.$$eval("li[data-note]", (all) => all.find((it) => it.innerText.includes("120")).querySelector("button").click());
await page.waitForSelector("#note-form");
await fill(page, "field-pulse", "102");
await page.click("#check-downtime_number");
await page.click("#check-name");
await page.click("#note-take");
await page.waitForSelector("#export");
assert.equal(await page.$$eval("li.replaced", (all) => all.length), 1);
await page.click("#export");
await until(page, "6 notes were handed");
const given = () => readdirSync(downloads).filter((name) => name.endsWith(".json"));
for (let tries = 0; given().length === 0 && tries < 100; tries += 1) await new Promise((resolve) => setTimeout(resolve, 100));
assert.match(given()[0], /^chartward-notes-[0-9a-f]{8}-\d{8}-\d{6}\.json$/);

// Nothing of a patient lies on the disk in the clear.
await page.click("#lock");
await page.waitForSelector("#door");
assert.ok(!(await page.content()).includes(patient.id));
const inTheClear = (folder) => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((it) => it.isFile())
  .filter((it) => { try { const bytes = readFileSync(join(it.parentPath ?? it.path, it.name)); return bytes.includes(patient.name) || bytes.includes(Buffer.from(patient.name, "utf16le")); } catch { return false; } });
assert.deepEqual(inTheClear(profile).map((it) => it.name), []);

// Under a new key the notes that this browser holds are still there.
execFileSync(renew[0], renew.slice(1), { stdio: "ignore" });
await page.close();
page = await unlocked();
await until(page, "Notes (6)");
await page.close();

// Parts that are damaged, swapped or gone are said, and the rest can be read.
const altered = async (name, change, says) => {
  const copy = join(work, name);
  cpSync(dir, copy, { recursive: true });
  change(join(copy, "data"), readdirSync(join(copy, "data")).sort());
  const page = await unlocked(copy);
  await page.waitForFunction(() => /were looked through|cannot be used/.test(document.querySelector("#warnings")?.innerText + (document.querySelector("#whole")?.innerText ?? "")));
  await until(page, says);
  await until(page, "This bundle is not whole");
  if (name === "gone") await picture(page, "bundle-broken");
  await page.close();
};
await altered("flipped", (data, names) => {
  const path = join(data, names[0]);
  const bytes = readFileSync(path);
  const middle = bytes.length >> 1;
  bytes[middle] = bytes[middle] === 65 ? 66 : 65;
  writeFileSync(path, bytes);
}, "damaged or replaced");
await altered("swapped", (data, names) => {
  const [one, other] = names.map((name) => readFileSync(join(data, name)));
  writeFileSync(join(data, names[0]), other);
  writeFileSync(join(data, names[1]), one);
}, "another part lies in its place");
await altered("gone", (data, names) => rmSync(join(data, names[0])), "missing");

// A part of an earlier edition under the present name, and a page that locks itself.
page = await opened(strayed);
await english(page);
await enter(page, passphrase);
await page.waitForSelector("#search");
await until(page, "This bundle is not whole");
await page.waitForSelector("#door", { timeout: 60000 });
await until(page, "Locked after a time without use");
await browser.close();
console.log("ok");
