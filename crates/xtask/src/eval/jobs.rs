//! The catalogue of ordinary jobs: real programs that read, rewrite, pack, replace and remove files.

/// An ordinary job: a shell line over the tree `$T`, with room beside it in `$B`.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) name: &'static str,
    /// Programs it needs.
    pub(crate) programs: &'static [&'static str],
    pub(crate) line: &'static str,
    /// What is there before the guard starts; empty for nothing more than the tree.
    pub(crate) before: &'static str,
}

const fn job(name: &'static str, programs: &'static [&'static str], line: &'static str) -> Job {
    Job { name, programs, line, before: "" }
}

const fn prepared(
    name: &'static str,
    programs: &'static [&'static str],
    before: &'static str,
    line: &'static str,
) -> Job {
    Job { name, programs, line, before }
}

pub(crate) const JOBS: &[Job] = &[
    // Packing.
    job("tar", &["tar"], "tar czf $T/backup.tgz -C $T records office && tar xzf $T/backup.tgz -C $B"),
    job("zip", &["zip"], "cd $T && zip -qr week.zip records office share && zip -qr $B/w.zip ."),
    job("zip-and-remove", &["zip"], "cd $T && zip -qrm 2016.zip office"),
    job(
        "7z",
        &["7z"],
        "cd $T && 7z a -mx=1 week.7z records office >/dev/null && 7z x -o$B/out week.7z >/dev/null",
    ),
    job("gzip-in-place", &["gzip"], "find $T/records -type f | head -60 | xargs -d '\n' gzip"),
    job(
        "gzip-and-back",
        &["gzip"],
        "find $T/records -type f | head -60 | xargs -d '\n' gzip && find $T/records -name '*.gz' | xargs -d '\n' gunzip",
    ),
    job(
        "xz-in-place",
        &["xz"],
        "find $T/dicom $T/share -name '*.*' -type f | head -40 | xargs -d '\\n' xz -0",
    ),
    job("bzip2-in-place", &["bzip2"], "find $T/records -type f | head -60 | xargs -d '\n' bzip2"),
    job("zstd-and-remove", &["zstd"], "find $T/records -type f | head -60 | xargs -d '\n' zstd -q --rm"),
    job(
        "recompression",
        &["gzip", "xz"],
        "find $T/share -name '*.gz' | head -20 | while read -r f; do gunzip -c \"$f\" | xz -0 >\"${f%.gz}.xz\" && rm \"$f\"; done",
    ),
    job(
        "gzip-rewrite-same-name",
        &["gzip"],
        "find $T/share -name '*.gz' | while read -r f; do gunzip -c \"$f\" | gzip -9 >\"$f.n\" && mv \"$f.n\" \"$f\"; done",
    ),
    // Encryption on purpose that keeps the originals.
    job(
        "gpg-beside",
        &["gpg"],
        "mkdir -m 700 $B/gnupg; find $T/office -type f | head -15 | while read -r f; do \
         gpg --homedir $B/gnupg --batch --yes --pinentry-mode loopback --passphrase x --s2k-count 1024 --symmetric -o \"$f.gpg\" \"$f\" 2>/dev/null; done",
    ),
    job(
        "openssl-outbox",
        &["openssl"],
        "mkdir $T/outbox; find $T/records -type f | head -40 | while read -r f; do \
         openssl enc -aes-256-cbc -pbkdf2 -iter 1 -pass pass:x -in \"$f\" -out \"$T/outbox/$(basename \"$f\").enc\"; done",
    ),
    // Texts and records.
    job("sed", &["sed"], "find $T/records $T/share -type f -exec sed -i s/2018/2019/g {} +"),
    job(
        "iconv",
        &["iconv"],
        "find $T/records -type f | while read -r f; do iconv -f ISO-2022-JP -t UTF-8 \"$f\" >\"$f.n\" 2>/dev/null && mv \"$f.n\" \"$f\" || rm -f \"$f.n\"; done",
    ),
    job(
        "utf16",
        &["iconv"],
        "find $T/share -name '*.txt' -o -name '*.html' | while read -r f; do iconv -f UTF-8 -t UTF-16 \"$f\" >\"$f.n\" 2>/dev/null && mv \"$f.n\" \"$f\" || rm -f \"$f.n\"; done",
    ),
    job(
        "line-ends",
        &["sed"],
        "find $T/share -name '*.txt' -o -name '*.html' -o -name '*.xml' | xargs -d '\\n' sed -i 's/$/\\r/'",
    ),
    job(
        "record-updates",
        &["python3"],
        "python3 -c '\nimport os,sys\nfiles=[os.path.join(d,n) for d,_,x in os.walk(sys.argv[1]) for n in x]\nfor k in range(8):\n for f in files:\n  \
         b=open(f,\"rb\").read(); g=f+\".old\"\n  os.path.exists(g) and os.unlink(g)\n  os.rename(f,g); open(f,\"wb\").write(b.replace(b\"|F\\r\",b\"|C%d\\r\"%k))' $T/records",
    ),
    job(
        "base64-mail",
        &["base64"],
        "mkdir $T/spool; find $T/office -type f | while read -r f; do base64 \"$f\" >\"$T/spool/$(basename \"$f\").eml\"; done; rm -r $T/spool",
    ),
    // Office documents.
    job(
        "office-save",
        &["python3"],
        "python3 -c '\nimport os,sys,zipfile\nfor n in sorted(os.listdir(sys.argv[1])):\n if not n.endswith((\"docx\",\"xlsx\")): continue\n p=os.path.join(sys.argv[1],n)\n \
         a=zipfile.ZipFile(p); t=os.path.join(sys.argv[1],\".~lock.\"+n); o=zipfile.ZipFile(t,\"w\",zipfile.ZIP_DEFLATED)\n \
         [o.writestr(i.filename,a.read(i).replace(b\"stable\",b\"better\")) for i in a.infolist()]\n o.close(); os.rename(t,p)' $T/office",
    ),
    job(
        "office-save-in-place",
        &["python3"],
        "python3 -c '\nimport io,os,sys,zipfile\nfor n in sorted(os.listdir(sys.argv[1])):\n if not n.endswith((\"docx\",\"xlsx\")): continue\n p=os.path.join(sys.argv[1],n)\n \
         a=zipfile.ZipFile(io.BytesIO(open(p,\"rb\").read())); o=zipfile.ZipFile(p,\"w\",zipfile.ZIP_DEFLATED)\n \
         [o.writestr(i.filename,a.read(i).replace(b\"stable\",b\"better\")) for i in a.infolist()]\n o.close()' $T/office",
    ),
    // Pictures, sound and film.
    job(
        "mogrify",
        &["mogrify"],
        "find $T/share -name '*.png' | head -12 | while read -r f; do mogrify -resize 50% \"$f\" || true; done",
    ),
    job(
        "convert-and-remove",
        &["convert"],
        "find $T/share -name '*.png' | head -12 | while read -r f; do convert \"$f\" \"${f%.png}.jpg\" && rm \"$f\" || true; done",
    ),
    job("optipng", &["optipng"], "find $T/share -name '*.png' | head -12 | xargs -d '\n' optipng -quiet -o1"),
    job(
        "ffmpeg",
        &["ffmpeg"],
        "for n in 1 2 3; do ffmpeg -nostdin -v error -f lavfi -i testsrc=d=1:s=160x120 -f lavfi -i sine=d=1 $T/visit-$n.mkv; \
         ffmpeg -nostdin -v error -i $T/visit-$n.mkv $T/visit-$n.mp4; ffmpeg -nostdin -v error -i $T/visit-$n.mkv -vn -c:a aac $T/visit-$n.m4a; rm $T/visit-$n.mkv; done",
    ),
    job(
        "dicom-rewrite",
        &["python3"],
        "python3 -c '\nimport os,sys\nfor d,_,x in os.walk(sys.argv[1]):\n for n in x:\n  p=os.path.join(d,n); b=open(p,\"rb\").read(); i=b.find(b\"\\x10\\x00\\x10\\x00\")\n  \
         b=b[:i+8]+b\"ANON\"+b[i+12:] if i>0 else b\n  open(p+\".tmp\",\"wb\").write(b); os.replace(p+\".tmp\",p)' $T/dicom",
    ),
    // Databases.
    job(
        "sqlite-vacuum",
        &["sqlite3"],
        "for f in $T/office/*.db; do sqlite3 $f 'update visit set note = note || hex(randomblob(40)); vacuum; pragma journal_mode=wal; update visit set ward = upper(ward); vacuum' >/dev/null; done",
    ),
    job(
        "sqlite-blobs",
        &["sqlite3"],
        "for n in 1 2 3 4; do sqlite3 $T/scan-$n.db 'create table p(b); with recursive c(x) as (select 1 union all select x+1 from c where x<300) \
         insert into p select randomblob(900) from c; update p set b = randomblob(900); vacuum'; done",
    ),
    job(
        "pg-dump",
        &["initdb", "pg_ctl", "pg_dump", "pgbench", "setpriv"],
        "mkdir $T/pg $T/dumps; chown 65534:65534 $T/pg $T/dumps; as() { setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=$B TMPDIR=$B \"$@\"; }; \
         as initdb -D $T/pg -A trust -U emr --no-sync >/dev/null; \
         as pg_ctl -D $T/pg -w -s -o \"-k $B -c listen_addresses=''\" start >/dev/null 2>&1; \
         as pgbench -h $B -U emr -i -q postgres 2>/dev/null; as pgbench -h $B -U emr -t 100 postgres >/dev/null 2>&1; \
         as pg_dump -h $B -U emr -Fc -f $T/dumps/a.dump postgres; as pg_dump -h $B -U emr postgres | gzip >$T/dumps/b.sql.gz; \
         as vacuumdb -h $B -U emr -q --full postgres; as pg_dump -h $B -U emr -Fc -f $T/dumps/a.dump postgres; as pg_ctl -D $T/pg -s -m fast stop",
    ),
    // Servers that start, work and stop below a guard that has found their data.
    prepared(
        "postgres-rounds",
        &["initdb", "pg_ctl", "pgbench", "vacuumdb", "setpriv"],
        "mkdir $T/pg; chown 65534:65534 $T/pg; setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=$B TMPDIR=$B \
         initdb -D $T/pg -A trust -U emr --no-sync >/dev/null",
        "as() { setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=$B TMPDIR=$B \"$@\"; }; for n in 1 2 3; do \
         as pg_ctl -D $T/pg -w -s -l $B/pg.log -o \"-k $B -c listen_addresses='' -c fsync=off\" start >/dev/null 2>&1; \
         as pgbench -h $B -U emr -i -q postgres 2>/dev/null; as pgbench -h $B -U emr -C -t 20 postgres >/dev/null 2>&1; \
         as vacuumdb -h $B -U emr -q --full postgres; as pg_ctl -D $T/pg -s -m fast stop; done",
    ),
    prepared(
        "mariadb-rounds",
        &["mariadb-install-db", "mariadbd", "mariadbd-safe", "mariadb", "mariadb-admin", "setpriv"],
        "mkdir $T/my; chown 65534:65534 $T/my; setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=$B TMPDIR=$B \
         mariadb-install-db --no-defaults --datadir=$T/my --auth-root-authentication-method=normal --skip-test-db \
         --innodb-log-file-size=8M >/dev/null",
        "as() { setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=$B TMPDIR=$B \"$@\"; }; \
         for program in mariadbd-safe mariadbd mariadbd-safe; do as $program --no-defaults --datadir=$T/my --socket=$B/s \
         --pid-file=$B/pid --skip-networking --innodb-log-file-size=8M --innodb-buffer-pool-size=16M >/dev/null 2>&1 & \
         until as mariadb-admin --no-defaults -u root --socket=$B/s ping >/dev/null 2>&1; do sleep 0.1; done; \
         as mariadb --no-defaults -u root --socket=$B/s -e 'create database e; use e; create table e.v(id int primary key, n text); \
         insert into e.v select seq, md5(seq) from seq_1_to_5000; update e.v set n = sha1(n); optimize table e.v; drop database e' \
         >/dev/null; as mariadb-admin --no-defaults -u root --socket=$B/s shutdown; wait; done",
    ),
    // Version control, copies, backups.
    job(
        "git",
        &["git"],
        "cd $T && git init -q && git config user.name a && git config user.email a@b.invalid && git add -A && git commit -qm x && \
         find office records -type f | head -40 | xargs -d '\n' sed -i 's/2/3/' && git commit -qam y && git checkout -q HEAD~1 && git gc -q --prune=now",
    ),
    job(
        "rsync",
        &["rsync"],
        "cp -a $T $B/copy && rsync -aI $B/copy/ $T/ && rsync -a --inplace -I $B/copy/ $T/",
    ),
    job("cp-over", &["cp"], "cp -r $T $B/copy && cp -r $B/copy/. $T/ && cp -r $B/copy $T/again"),
    job(
        "restic",
        &["restic"],
        "export RESTIC_PASSWORD=x RESTIC_REPOSITORY=$T/vault RESTIC_CACHE_DIR=$B/cache; restic init -q && restic backup -q $T/records $T/office && \
         restic restore -q latest --target $T/restored && restic forget -q --keep-last 1 --prune",
    ),
    job(
        "restore-over",
        &["restic"],
        "export RESTIC_PASSWORD=x RESTIC_REPOSITORY=$B/vault RESTIC_CACHE_DIR=$B/cache; restic init -q && restic backup -q $T && \
         find $T/records -type f | head -30 | xargs -d '\n' rm && restic restore -q latest --target /",
    ),
    job("removal", &["rm"], "rm -r $T/records && rm -r $T/share"),
    job("chmod", &["chmod"], "chmod -R go-w $T && chown -R 1000:1000 $T"),
    job(
        "rename-all",
        &["mv"],
        "find $T/records $T/office -type f | while read -r f; do mv \"$f\" \"$f.bak\"; done",
    ),
    job(
        "dedupe",
        &["ln"],
        "find $T/office -type f | while read -r f; do cp \"$f\" \"$f.n\" && ln -f \"$f.n\" \"$f\" && rm \"$f.n\"; done",
    ),
    job(
        "split-and-join",
        &["split"],
        "cd $T/office && for f in *.pdf; do split -b 1000 $f $f. && cat $f.?? >$f.n && rm $f.?? && mv $f.n $f; done",
    ),
    job(
        "log-rotation",
        &["gzip"],
        "mkdir $T/log; for n in 1 2 3 4 5 6; do seq 1 20000 >$T/log/app.log; mv $T/log/app.log $T/log/app.log.$n; gzip $T/log/app.log.$n; done",
    ),
    // Clearing out: what thieves and wipers do, too.
    job("move-out", &["rsync"], "rsync -a --remove-source-files $T/records $T/office $B/"),
    job("tar-and-remove", &["tar"], "tar czf $B/x.tgz --remove-files -C $T records"),
    job(
        "rsync-delete",
        &["rsync"],
        "cp -a $T $B/copy && rm -r $B/copy/records && rsync -a --delete $B/copy/ $T/",
    ),
    job(
        "empty-logs",
        &["truncate"],
        "find $T/share -name '*.txt' -o -name '*.json' | xargs -d '\\n' truncate -s 0",
    ),
    job(
        "copy-truncate-rotation",
        &["cp"],
        "find $T/share -name '*.txt' -o -name '*.xml' | while read -r f; do cp \"$f\" \"$f.1\"; : >\"$f\"; seq 1 50 >>\"$f\"; done",
    ),
    job(
        "temporary-files",
        &["python3"],
        "python3 -c '\nimport os,sys\nfor k in range(400):\n p=os.path.join(sys.argv[1],\"tmp%d\"%k); open(p,\"wb\").write(os.urandom(3000)); open(p,\"rb\").read(); os.unlink(p)' $T/share",
    ),
    job(
        "hard-link-snapshots",
        &["cp"],
        "cp -al $T/records $T/.daily.1 && find $T/records -type f | head -40 | xargs -d '\n' sed -i s/2018/2019/ && rm -r $T/.daily.1",
    ),
    job(
        "rename-folders",
        &["mv"],
        "mv $T/records $T/archive && mv $T/archive/ssmix2 $T/archive/ssmix2-2018 && find $T/archive -type f | head -20 | xargs -d '\n' sed -i s/2018/2019/",
    ),
    job(
        "sqlite-rebuild",
        &["sqlite3"],
        "for f in $T/office/*.db; do sqlite3 $f .dump | sqlite3 $f.new && mv $f.new $f; done",
    ),
    job(
        "dicom-transcode",
        &["dcmconv", "dcmcrle"],
        "find $T/dicom -type f | while read -r f; do dcmcrle \"$f\" \"$f.n\" 2>/dev/null && mv \"$f.n\" \"$f\" || rm -f \"$f.n\"; dcmconv +te \"$f\" \"$f.n\" 2>/dev/null && mv \"$f.n\" \"$f\" || rm -f \"$f.n\"; done",
    ),
    job(
        "minify",
        &["tr"],
        "find $T/share -name '*.html' -o -name '*.json' -o -name '*.svg' | while read -r f; do tr -d '\\n\\t' <\"$f\" >\"$f.n\" && cat \"$f.n\" >\"$f\" && rm \"$f.n\"; done",
    ),
    // Software.
    job(
        "cargo-build",
        &["cargo"],
        "export CARGO_TARGET_DIR=$T/ward/target; cargo init -q --vcs none --name ward $T/ward && cd $T/ward && cargo build -q --offline && touch src/main.rs && cargo build -q --offline && cargo clean -q",
    ),
    job(
        "dpkg-unpack",
        &["dpkg-deb"],
        "mkdir -p $B/p/DEBIAN $B/p/opt $T/installed && cp -r $T/share $B/p/opt/ && \
         printf 'Package: ward\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b.invalid>\\nDescription: x\\n' >$B/p/DEBIAN/control && \
         dpkg-deb -Zxz -b $B/p $T/ward.deb >/dev/null && dpkg-deb -x $T/ward.deb $T/installed && dpkg-deb -x $T/ward.deb $T/installed",
    ),
    job(
        "pip-install",
        &["python3"],
        "python3 -m venv --without-pip $T/venv && python3 -m compileall -q $T/venv && rm -r $T/venv",
    ),
    // Added by somebody who did not know how the guard judges.
    job(
        "dos2unix",
        &["dos2unix", "unix2dos"],
        "find $T/share -name '*.txt' -o -name '*.html' -o -name '*.xml' | while read -r f; do unix2dos -f -q \"$f\"; done; \
         find $T/share -name '*.txt' -o -name '*.html' -o -name '*.xml' | while read -r f; do dos2unix -f -q \"$f\"; done",
    ),
    job(
        "nkf-shift-jis",
        &["nkf"],
        "find $T/records -type f | xargs -d '\\n' nkf -s --overwrite && find $T/records -type f | xargs -d '\\n' nkf -w16 --in-place=.bak && find $T/records -name '*.bak' -delete",
    ),
    job(
        "perl-in-place-edit",
        &["perl"],
        "find $T/records $T/share -type f -exec perl -pi.orig -e 's/201[78]/2019/g' {} + && find $T -name '*.orig' -exec rm {} +",
    ),
    job(
        "exiftool-strip",
        &["exiftool"],
        "find $T/share -name '*.jpg' -o -name '*.png' -o -name '*.pdf' | xargs -d '\\n' exiftool -q -q -overwrite_original -all= -Artist=ward || true",
    ),
    job(
        "jpegoptim",
        &["jpegoptim"],
        "find $T/share -name '*.jpg' | xargs -d '\\n' jpegoptim -q -s -m60 || true",
    ),
    job(
        "cwebp-and-remove",
        &["cwebp"],
        "find $T/share -name '*.jpg' -o -name '*.png' | while read -r f; do cwebp -quiet -m 0 \"$f\" -o \"${f%.*}.webp\" 2>/dev/null && rm \"$f\" || true; done",
    ),
    job(
        "pictures-to-dicom",
        &["img2dcm"],
        "find $T/share -name '*.jpg' | while read -r f; do img2dcm -q \"$f\" \"${f%.jpg}.dcm\" 2>/dev/null && rm \"$f\" || true; done",
    ),
    job(
        "dcmodify-in-place",
        &["dcmodify"],
        "find $T/dicom -type f | while read -r f; do dcmodify -q -nb -i '(0010,0010)=ANON' -i '(0010,0020)=1' -ea '(0010,0030)' \"$f\" 2>/dev/null || true; done",
    ),
    job(
        "dcmcjpeg-archive",
        &["dcmcjpeg"],
        "find $T/dicom -type f | while read -r f; do dcmcjpeg -q \"$f\" \"$f.n\" 2>/dev/null && mv \"$f.n\" \"$f\" || rm -f \"$f.n\"; done",
    ),
    job(
        "series-by-date",
        &["mv"],
        "find $T/dicom $T/records -type f | while read -r f; do d=$T/by-date/$(date -r \"$f\" +%Y/%m/%d); mkdir -p $d; mv \"$f\" \"$d/$(date -r \"$f\" +%s%N)-$(basename \"$f\")\"; done",
    ),
    job(
        "qpdf-linearize",
        &["qpdf"],
        "find $T/office $T/share -name '*.pdf' | while read -r f; do qpdf --linearize --object-streams=generate --recompress-flate --replace-input \"$f\" 2>/dev/null || rm -f \"$f.~qpdf-orig\"; done",
    ),
    job(
        "ghostscript-archive-pdf",
        &["gs"],
        "find $T/office $T/share -name '*.pdf' | head -10 | while read -r f; do gs -q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=pdfwrite -sOutputFile=\"$f.n\" \"$f\" >/dev/null 2>&1 && mv \"$f.n\" \"$f\" || rm -f \"$f.n\"; done",
    ),
    job(
        "one-document-with-password",
        &["7z", "qpdf"],
        "cd $T/office; set -- *.docx; 7z a -pward -mhe=on -sdel for-the-insurer.7z \"$1\" >/dev/null; set -- *.pdf; qpdf --encrypt ward ward 256 -- --replace-input \"$1\" 2>/dev/null || rm -f *.~qpdf-orig; sleep 2; \
         for f in *.xlsx; do cat \"$f\" >\"$f.n\" && mv \"$f.n\" \"$f\"; done",
    ),
    job(
        "exports-encrypted-and-cleared",
        &["gpg", "sqlite3"],
        "mkdir -m 700 $B/gnupg; mkdir $T/outbox; for n in 1 2 3 4 5 6 7 8 9; do for f in $T/office/*.db; do o=$T/outbox/$(basename $f)-$n.csv; \
         sqlite3 -csv $f 'select * from visit' >$o; gpg --homedir $B/gnupg --batch --pinentry-mode loopback --passphrase x --s2k-count 1024 --symmetric -o $o.gpg $o 2>/dev/null; rm $o; done; done; rm -r $T/outbox",
    ),
    prepared(
        "gpg-delivered",
        &["gpg"],
        "mkdir -m 700 $B/gnupg; mkdir $T/inbox; find $T/office $T/records -type f | head -20 | while read -r f; do \
         gpg --homedir $B/gnupg --batch --pinentry-mode loopback --passphrase x --s2k-count 1024 --symmetric -o \"$T/inbox/$(basename \"$f\").gpg\" \"$f\" 2>/dev/null || true; done",
        "for f in $T/inbox/*.gpg; do gpg --homedir $B/gnupg --batch --pinentry-mode loopback --passphrase x -o \"${f%.gpg}\" --decrypt \"$f\" 2>/dev/null && rm \"$f\"; done",
    ),
    job(
        "shred-own-exports",
        &["shred"],
        "mkdir $T/export; find $T/records -type f | head -30 | while read -r f; do cp \"$f\" \"$T/export/$(basename \"$f\")\"; done; tar cf $B/export.tar -C $T export; shred -n 1 -u $T/export/*; rmdir $T/export",
    ),
    job(
        "encrypted-volume",
        &["openssl"],
        "openssl rand -out $T/vault.img 6000000; for n in 1 2 3 4 5 6 7 8; do openssl rand 65536 | dd of=$T/vault.img bs=64k seek=$((n * 9)) conv=notrunc status=none; done; cp $T/vault.img $T/vault-2.img; rm $T/vault.img",
    ),
    job(
        "git-branches",
        &["git"],
        "cd $T && git init -q -b main && git config user.name a && git config user.email a@b.invalid && git add -A && git commit -qm x && git checkout -q -b other && \
         for f in office/*.pdf office/*.docx; do gzip -9 <$f >$f.n; mv $f.n $f; done; git rm -q -r records && git add -A && git commit -qm y && \
         git checkout -q main && git checkout -q other && git checkout -q main && git stash -q -u 2>/dev/null; git worktree add -q $T/tree-2 other && git worktree remove --force $T/tree-2 && git repack -q -a -d",
    ),
    job(
        "logrotate",
        &["logrotate"],
        "mkdir $T/log; printf '%s/log/*.log {\\n su root root\\n rotate 3\\n compress\\n copytruncate\\n missingok\\n}\\n' $T >$B/c; chmod 755 $T/log; chmod 600 $B/c; \
         for n in 1 2 3 4 5 6; do for m in hl7 web mail; do seq $n 9000 >>$T/log/$m.log; done; logrotate -f -s $B/state $B/c; done",
    ),
    job(
        "snapshot-rotation",
        &["rsync"],
        "mkdir -p $T/.snap; for n in 3 2 1 0; do rm -rf $T/.snap/3; for m in 2 1 0; do test ! -d $T/.snap/$m || mv $T/.snap/$m $T/.snap/$((m + 1)); done; mkdir $T/.snap/0; \
         rsync -a --delete --link-dest=$T/.snap/1/office/ $T/office/ $T/.snap/0/office/; rsync -a --link-dest=$T/.snap/1/records/ $T/records/ $T/.snap/0/records/; \
         find $T/records -type f | head -20 | xargs -d '\\n' sed -i s/201$((n + 5))/2019/; done",
    ),
    job(
        "rsync-backup-dir",
        &["rsync"],
        "cp -a $T $B/copy && find $B/copy/records $B/copy/office -type f | head -60 | xargs -d '\\n' sed -i s/2/3/ && rm -r $B/copy/share && rsync -aI --delete --backup --backup-dir=$T/.trash --exclude=.trash $B/copy/ $T/ && rm -r $T/.trash",
    ),
    prepared(
        "unpack-over",
        &["zip", "unzip", "tar"],
        "cd $T && zip -qr $B/w.zip . && find records -type f | head -40 | xargs -d '\\n' sed -i s/2018/2017/ && tar czf $B/w.tgz .",
        "cd $T && unzip -qo $B/w.zip && tar xzf $B/w.tgz && tar xzf $B/w.tgz --overwrite",
    ),
    job(
        "zip-updates-documents",
        &["zip"],
        "cd $T/office && echo reviewed >note.txt && for f in *.docx *.xlsx; do zip -q \"$f\" note.txt && zip -q -d \"$f\" note.txt && zip -q -9 -u \"$f\" note.txt; done; rm note.txt",
    ),
    job(
        "maildir",
        &["python3"],
        "python3 -c '\nimport mailbox,os,sys\nfrom email.message import EmailMessage\nt=sys.argv[1]; b=mailbox.Maildir(os.path.join(t,\"Maildir\"))\n\
         for d,_,x in sorted(os.walk(os.path.join(t,\"office\"))):\n for n in x:\n  m=EmailMessage(); m[\"From\"]=\"a@b.invalid\"; m.set_content(\"see below\"); \
         m.add_attachment(open(os.path.join(d,n),\"rb\").read(),maintype=\"application\",subtype=\"octet-stream\",filename=n); b.add(m)\n\
         for k in list(b.keys()):\n m=b[k]; m.set_subdir(\"cur\"); m.add_flag(\"S\"); b[k]=m\n\
         o=mailbox.mbox(os.path.join(t,\"archive.mbox\"))\nfor k in list(b.keys()):\n o.add(b[k]); o.flush(); b.remove(k)\no.close()' $T",
    ),
    job(
        "mail-queue",
        &["python3"],
        "python3 -c '\nimport base64,os,sys\nt=sys.argv[1]; q=os.path.join(t,\"queue\")\nfor s in (\"maildrop\",\"incoming\",\"active\",\"deferred\"): os.makedirs(os.path.join(q,s))\n\
         files=[os.path.join(d,n) for d,_,x in os.walk(os.path.join(t,\"office\")) for n in x]\nfor k in range(120):\n h=\"%X\" % (k*7919+4096); a=os.path.join(q,\"maildrop\",h)\n \
         open(a,\"wb\").write(b\"From: a@b.invalid\\n\\n\"+base64.encodebytes(open(files[k%len(files)],\"rb\").read()))\n\
         \x20b=os.path.join(q,\"incoming\",h); open(b,\"wb\").write(open(a,\"rb\").read()); os.unlink(a); c=os.path.join(q,\"active\",h); os.rename(b,c)\n\
         \x20if k%3==0: os.rename(c,os.path.join(q,\"deferred\",h)); os.rename(os.path.join(q,\"deferred\",h),c)\n os.unlink(c)' $T",
    ),
    job(
        "xmlstarlet",
        &["xmlstarlet"],
        "find $T/share -name '*.xml' -o -name '*.svg' | while read -r f; do xmlstarlet fo -s 4 \"$f\" >\"$f.n\" 2>/dev/null && cat \"$f.n\" >\"$f\"; rm -f \"$f.n\"; xmlstarlet ed -L -d '//comment()' \"$f\" 2>/dev/null || true; done",
    ),
    job(
        "rdfind",
        &["rdfind"],
        "cp -r $T/office $T/office-2 && cp -r $T/dicom $T/dicom-2 && cd $B && rdfind -makehardlinks true $T >/dev/null",
    ),
    job(
        "pigz-in-place",
        &["pigz"],
        "find $T/records $T/share -type f ! -name '*.gz' | head -80 | xargs -d '\\n' pigz -1",
    ),
    job(
        "lz4-and-remove",
        &["lz4"],
        "find $T/records $T/share -type f | head -80 | while read -r f; do lz4 -q --rm \"$f\" \"$f.lz4\"; done",
    ),
    job(
        "lzma-alone-in-place",
        &["xz"],
        "find $T/records $T/share -type f | head -60 | xargs -d '\\n' xz -0 --format=lzma",
    ),
    job(
        "brotli-beside",
        &["brotli"],
        "find $T/share -type f | while read -r f; do brotli -q 3 -k -f \"$f\"; done; find $T/share -name '*.br' -exec rm {} +",
    ),
    job(
        "brotli-and-remove",
        &["brotli"],
        "find $T/share -name '*.html' -o -name '*.json' -o -name '*.txt' -o -name '*.svg' | while read -r f; do brotli -q 3 -j \"$f\"; done",
    ),
    job(
        "base64-delivered",
        &["base64"],
        "mkdir $T/inbox; for f in $T/office/*; do base64 $f >$T/inbox/$(basename $f).b64; done; for f in $T/inbox/*.b64; do base64 -d $f >${f%.b64} && rm $f; done",
    ),
    job(
        "vacuum-into",
        &["sqlite3"],
        "for n in 1 2 3 4; do for f in $T/office/*.db; do sqlite3 $f \"vacuum into '$f.bak'; pragma page_size=8192\"; sqlite3 $f.bak 'pragma page_size=1024; vacuum; create index if not exists i on visit(ward)'; mv $f.bak $f; done; done",
    ),
    job(
        "scans-as-blobs",
        &["sqlite3"],
        "for f in $T/office/*.db; do sqlite3 $f 'create table scan(id integer primary key, b blob); with recursive c(x) as (select 1 union all select x+1 from c where x<200) insert into scan select x, randomblob(2000) from c; \
         update scan set b = randomblob(2000); delete from scan where id > 100; vacuum'; done",
    ),
];
