// Opens a bundle in Chromium and measures what a person waits for: see bundle.py.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const { dir, passphrase, profile } = JSON.parse(process.argv[2]);
rmSync(profile, { recursive: true, force: true });
const browser = await puppeteer.launch({
  executablePath: "/usr/bin/chromium", headless: true, userDataDir: profile, protocolTimeout: 120000,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en"],
});
const page = await browser.newPage();
page.setDefaultTimeout(120000);
const ms = {};
let begun = performance.now();
const lap = (name) => { ms[name] = Math.round(performance.now() - begun); begun = performance.now(); };
await page.goto(pathToFileURL(join(dir, "index.html")).href, { waitUntil: "load" });
await page.waitForSelector("#who");
lap("door_ms");
await page.evaluate((words) => { document.querySelector("#who").value = "bench"; document.querySelector("#passphrase").value = words; document.querySelector("#enter").click(); }, passphrase);
await page.waitForSelector("#search");
lap("unlock_and_index_ms");
const search = async (typed, name) => {
  await page.evaluate((typed) => { const field = document.querySelector("#search"); field.value = typed; field.dispatchEvent(new Event("input")); }, typed);
  await page.waitForSelector("#count");
  lap(name);
};
await search("さとう", "first_search_ms");
await search("たなか 1", "second_search_ms");
const found = await page.$eval("#count", (it) => it.innerText);
await page.evaluate(() => document.querySelector(".found tr").click());
await page.waitForSelector("#chart header");
lap("first_chart_ms");
const memory = (await page.metrics()).JSHeapUsedSize;
await page.keyboard.press("Escape");
await page.waitForFunction(() => /looked through|確認しました/.test(document.querySelector("#whole")?.innerText ?? ""));
lap("all_parts_checked_ms");
console.log(JSON.stringify({ ...ms, found, heap_mib: Math.round(memory / 1048576) }));
await browser.close();
