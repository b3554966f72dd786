// Drives the downtime notes in Chromium: node notes.mjs '{"url": …}'. A line "ask WHAT" on stdout is answered with one line of JSON
// on stdin: see it/notes/browser.rs.
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import puppeteer from "puppeteer-core";

const plan = JSON.parse(process.argv[2]);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const ask = async (what) => {
  console.log(`ask ${what}`);
  const { value, done } = await answers.next();
  assert.ok(!done, `no answer to ${what}`);
  return JSON.parse(value);
};

let browser;
const launch = async () => {
  browser = await puppeteer.launch({
    executablePath: plan.chromium, headless: true, userDataDir: plan.profile, protocolTimeout: 120000,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=ja"],
  });
};
const tab = async (lang = "ja") => {
  const page = await browser.newPage();
  await page.setExtraHTTPHeaders({ "accept-language": lang });
  await page.setViewport({ width: 1024, height: 1200 });
  page.setDefaultTimeout(60000);
  page.on("pageerror", (error) => { throw error; });
  page.on("console", (message) => assert.ok(!/Content.Security.Policy/i.test(message.text()), message.text()));
  return page;
};
const open = (page, path) => page.goto(new URL(path, plan.url).href, { waitUntil: "load" });
const text = (page) => page.$eval("main", (main) => main.innerText);
const has = (page, words) => page.waitForFunction((words) => document.querySelector("main")?.innerText.includes(words), {}, words);
const enter = async (page, name) => {
  await open(page, "/");
  await page.type("[name=code]", plan.code);
  await page.type("[name=who]", name);
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.click("form[action='/enter'] button")]);
};
const ready = (page) => page.waitForFunction(() => document.documentElement.dataset.ready === "1");
/** The draft is in both stores of the browser. */
const kept = async (page, act) => {
  const before = await page.evaluate(() => document.documentElement.dataset.kept ?? "");
  await act();
  await page.waitForFunction((before) => (document.documentElement.dataset.kept ?? "") !== before, {}, before);
  await new Promise((resolve) => setTimeout(resolve, 300));
};
const picture = async (page, name) => {
  if (!plan.screenshots) return;
  // The folders of a test are nobody's.
  await page.evaluate(() => {
    const all = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (all.nextNode()) all.currentNode.data = all.currentNode.data.replace(/\/tmp\/[^/ ]+/g, "/srv");
  });
  await page.screenshot({ path: `${plan.screenshots}/${name}.png` });
};
const notes = `/notes/${plan.patient}`;

// A draft outlives a browser that is killed.
await launch();
let page = await tab();
await enter(page, "看護師 山田");
await open(page, `/chart/${plan.patient}`);
await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.click(".downtime a")]);
await ready(page);
await page.click("[name=seen_name]");
await page.type("[name=seen_birth]", plan.birth);
await page.type("[name=pulse]", "91");
await kept(page, () => page.type("[name=temperature]", "38.4"));
browser.process().kill("SIGKILL");
await new Promise((resolve) => setTimeout(resolve, 1000));

await launch();
page = await tab();
await enter(page, "看護師 山田");
await open(page, notes);
await ready(page);
await has(page, "まだ保存されていません");
assert.equal(await page.$eval("[name=temperature]", (field) => field.value), "38.4");
assert.equal(await page.$eval("[name=pulse]", (field) => field.value), "91");
assert.equal((await ask("kept")).filter((line) => line.type === "note").length, 0);
await picture(page, "downtime-note-draft.ja");
await page.click("form#note button");
await has(page, "この患者の記録（1件）");
await has(page, "38.4");
assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("chartward-")).length), 0);

// The server refuses another patient's wristband, in words, and what was typed stays.
await ready(page);
await page.type("[name=seen_id]", "8888888888");
await page.click("[name=seen_name]");
await page.click("[name=kind][value=text]");
await kept(page, () => page.type("[name=text]", "家族に説明した"));
await page.click("form#note button");
await has(page, "患者が違う可能性があります");
assert.equal(await page.$eval("[name=text]", (field) => field.value), "家族に説明した");
await page.$eval("[name=seen_id]", (field) => { field.value = ""; field.dispatchEvent(new Event("input", { bubbles: true })); });
await page.type("[name=seen_birth]", plan.birth);

// The viewer dies; the note waits on the device, and is sent by itself once somebody has entered again.
await ask("kill the viewer");
await page.click("form#note button");
await has(page, "未保存（この端末に保持しています）");
await ask("start the viewer");
await has(page, "ログインが切れました");
const second = await tab();
await enter(second, "看護師 山田");
await has(page, "この患者の記録（2件）");
await ask("kill the viewer");
await ask("start the viewer");
const keptNotes = (await ask("kept")).filter((line) => line.type === "note").map((line) => line.kept.note);
assert.deepEqual(keptNotes.map((note) => note.author), ["看護師 山田", "看護師 山田"]);
assert.equal(keptNotes[0].entry.vitals.temperature, 38.4);
assert.equal(keptNotes[1].entry.text.text, "家族に説明した");

// A medication from the chart's list, in English.
const nurse = await tab("en");
await enter(nurse, "Nurse Tanaka");
await open(nurse, notes);
await ready(nurse);
await nurse.click("[name=kind][value=given]");
const choices = await nurse.$$eval("[name=choice] option", (options) => options.map((option) => option.value));
if (choices.length > 1) {
  await nurse.select("[name=choice]", choices[1]);
  assert.equal(await nurse.$eval("[name=drug]", (field) => field.value), JSON.parse(choices[1]).drug);
}
await picture(nurse, "downtime-note");

// Reconciliation: side by side, the conflict, a decision, taken back, and taken.
await ask("notes of the downtime");
const doctor = await tab();
await enter(doctor, "医師 佐藤");
await open(doctor, "/reconcile");
await has(doctor, "未確認の記録");
await open(doctor, `/reconcile/patient/${plan.patient}`);
const conflict = "section[data-state=conflict]";
const odd = await doctor.$$eval(`${conflict} tr.odd`, (rows) => rows.map((row) => row.innerText).join("\n"));
assert.match(odd, /7 mL/);
await picture(doctor, "reconcile.ja");
const press = async (selector) => Promise.all([doctor.waitForNavigation({ waitUntil: "load" }), doctor.click(selector)]);
await press(`${conflict} button[value=take_note]`);
assert.match(await doctor.$eval(conflict, (section) => section.innerText), /停止中の記録を採用/);
await press(`${conflict} form.undo button`);
assert.doesNotMatch(await doctor.$eval(conflict, (section) => section.innerText), /✓/);
await press(`${conflict} button[value=take_note]`);
assert.match(await text(doctor), /医師 佐藤/);
await browser.close();
// Answers could still come: without this the process would wait for them.
process.exit(0);
