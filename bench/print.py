#!/usr/bin/env python3
"""Charts as PDF: Chartward's own engine beside Chromium printing our HTML page of the same charts, and typst (PyPI) setting the same
tables, in one run on one machine. Synthetic patients only.

    cargo build --release -p chartward && cargo build --release -p recover --example print_rate
    python3 bench/print.py [--patients 50] [--target target/release] [--typst]
"""
import argparse, json, pathlib, resource, subprocess, sys, tempfile, time

parser = argparse.ArgumentParser()
parser.add_argument("--patients", type=int, default=50)
parser.add_argument("--target", default="target/release")
parser.add_argument("--chartward", help="another chartward, for the sample and the HTML pages only (default: the target's)")
parser.add_argument("--typst", action="store_true", help="needs the Python package typst")
args = parser.parse_args()
target = pathlib.Path(args.target)
chartward = args.chartward or target / "chartward"


def timed(words):
    """Seconds by the clock, seconds of processor time of it and its children, and its output."""
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    before, begun = used(), time.monotonic()
    run = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    seconds = time.monotonic() - begun
    if run.returncode not in (0, 1):
        sys.exit(f"{words[0]}: {run.stderr}")
    return seconds, used() - before, run.stdout


def pages(pdf):
    out = subprocess.run(["pdfinfo", str(pdf)], capture_output=True, text=True, check=True).stdout
    return int(next(line for line in out.splitlines() if line.startswith("Pages:")).split()[1])


def report(name, seconds, cpu, count, pdf, **more):
    print(json.dumps({"engine": name, "seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3), "pages": count,
                      "pages_per_second": round(count / seconds), "pages_per_cpu_second": round(count / cpu), "bytes": pdf.stat().st_size, **more}))


def typst_source(charts):
    text = lambda value: json.dumps(str(value or ""), ensure_ascii=False)
    out = ['#set page("a4", margin: 1.2cm, footer: context [#counter(page).display()])', '#set text(font: "BIZ UDGothic", 9.5pt, lang: "ja")']
    for chart in charts:
        out.append(f'#pagebreak(weak: true)\n#text(17pt, {text(chart["banner"].get("name"))}) #text({text(chart["patient"])})')
        for section, fields in {"allergies": ["substance", "category", "reaction"], "problems": ["name", "icd10", "since"],
                                "given": ["at", "status"], "meals": ["start", "diet", "instruction"], "stays": ["admitted", "discharged", "dept"],
                                "visits": ["at", "dept", "doctor"], "notes": ["date", "kind", "text"]}.items():
            cells = ", ".join(text(item.get(field)) for item in chart[section] for field in fields)
            out.append(f"#table(columns: {len(fields)}, {cells})")
        cells = ", ".join(text(value) for item in chart["medication"] for drug in item["drugs"] for value in (drug["name"], drug["dose"], item["usage"]))
        out.append(f"#table(columns: 3, {cells})")
        cells = ", ".join(text(value) for s in chart["labs"] for value in (s["name"], s["results"][0]["value"], s["results"][0]["unit"], s["results"][0]["range"], s["results"][0]["at"]))
        out.append(f"#table(columns: 5, {cells})")
    return "\n".join(out)


with tempfile.TemporaryDirectory(prefix="chartward-bench-") as work:
    work = pathlib.Path(work)
    subprocess.run([chartward, "sample", "hospital", work / "h", "--patients", str(args.patients), "--json"], check=True, capture_output=True)
    seconds, cpu, out = timed([target / "examples/print_rate", work / "h", work / "own.pdf"])
    told = json.loads(out)
    report("chartward", told["seconds"], told["cpu_seconds"], told["pages"], work / "own.pdf", peak_mib=round(told["peak_kib"] / 1024),
           peak_mib_before_printing=round(told["peak_kib_before"] / 1024), with_reading_cpu_seconds=round(cpu, 3))
    listed = subprocess.run([chartward, "charts", "list", "--json", "--from", work / "h"], capture_output=True, text=True).stdout
    ids = [line["patient"] for line in map(json.loads, listed.splitlines()) if line["type"] == "patient"]
    bodies, charts, head = [], [], ""
    for index, patient in enumerate(ids):
        html = work / f"{index}.html"
        shown = subprocess.run([chartward, "charts", "show", patient, "--json", "--lang", "ja", "--from", work / "h", "--html", html], capture_output=True, text=True).stdout
        charts.append(json.loads(shown))
        head, body = html.read_text().split("<body>")
        bodies.append('<div style="break-after: page">' + body.split("</body>")[0] + "</div>")
    (work / "all.html").write_text(head + "<body>" + "".join(bodies) + "</body></html>")
    seconds, cpu, _ = timed(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
                                 f"--user-data-dir={work}/profile", f"--print-to-pdf={work}/chromium.pdf", f"file://{work}/all.html"])
    report("chromium", seconds, cpu, pages(work / "chromium.pdf"), work / "chromium.pdf")
    if args.typst:
        (work / "a.typ").write_text(typst_source(charts))
        script = f"import typst; typst.compile({str(work / 'a.typ')!r}, output={str(work / 'typst.pdf')!r})"
        seconds, cpu, _ = timed([sys.executable, "-c", script])
        report("typst", seconds, cpu, pages(work / "typst.pdf"), work / "typst.pdf")
