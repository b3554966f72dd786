"""Office documents, PDFs and databases with made-up contents, for a tree that is attacked. Arguments: folder, seed, how many of each."""

import os
import random
import sqlite3
import sys
import zipfile
import zlib

folder, dice, count = sys.argv[1], random.Random(sys.argv[2]), int(sys.argv[3])
WORDS = "患者 経過 良好 patient ward blood pressure 処方 検査 laboratory result stable 退院 referral letter summary dose mg daily".split()


def prose(words):
    return " ".join(dice.choice(WORDS) for _ in range(words))


def package(name, parts):
    with zipfile.ZipFile(os.path.join(folder, name), "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in parts.items():
            archive.writestr(path, text)


def types(part, kind):
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/{part}" ContentType="application/vnd.openxmlformats-officedocument.{kind}+xml"/></Types>'
    )


def relations(part):
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
        f'Target="{part}"/></Relationships>'
    )


def docx(name):
    paragraphs = "".join(f"<w:p><w:r><w:t>{prose(40)}</w:t></w:r></w:p>" for _ in range(dice.randint(4, 80)))
    body = f'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{paragraphs}</w:body></w:document>'
    part = "word/document.xml"
    package(name, {"[Content_Types].xml": types(part, "wordprocessingml.document.main"), "_rels/.rels": relations(part), part: body})


def xlsx(name):
    cells = lambda: "".join(f"<c><v>{dice.randint(1, 9999)}</v></c>" for _ in range(12))
    rows = "".join(f"<row>{cells()}</row>" for _ in range(dice.randint(20, 300)))
    sheet = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>'
    book = '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"/>'
    part = "xl/workbook.xml"
    package(name, {"[Content_Types].xml": types(part, "spreadsheetml.sheet.main"), "_rels/.rels": relations(part), part: book, "xl/worksheets/sheet1.xml": sheet})


def pdf(name):
    lines = " ".join(f"({dice.randint(0, 10**9)} stable) Tj T*" for _ in range(dice.randint(50, 900)))
    stream = zlib.compress(f"BT /F1 10 Tf {lines} ET".encode())
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(stream) + stream + b"\nendstream",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"xref\n0 5\n0000000000 65535 f \n" + table + b"trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(out)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(out)


def database(name):
    with sqlite3.connect(os.path.join(folder, name)) as connection:
        connection.execute("create table visit(id integer primary key, ward text, note text)")
        rows = ((k, dice.choice(WORDS), prose(12)) for k in range(dice.randint(200, 3000)))
        connection.executemany("insert into visit values(?, ?, ?)", rows)
    connection.close()


for number in range(count):
    for make, suffix in [(docx, "docx"), (xlsx, "xlsx"), (pdf, "pdf")]:
        make(f"{dice.choice(['letter', 'summary', 'roster', 'plan'])}-{number:03}.{suffix}")
for number in range(max(1, count // 3)):
    database(f"clinic-{number:02}.db")
