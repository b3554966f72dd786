#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests read corpora")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::*;

fn lookalikes() -> Lookalikes {
    Lookalikes::new(&Brands::builtin())
}

/// Key of the brand and how, for a host.
fn seen(lookalikes: &Lookalikes, host: &str) -> Option<(String, How)> {
    lookalikes.judge(host).map(|found| {
        let brand = found.brand.and_then(|brand| lookalikes.brands().get(brand));
        (brand.map_or_else(String::new, |brand| brand.id.clone()), found.how)
    })
}

#[test]
fn hosts_that_pose_as_a_brand_are_found() {
    let lookalikes = lookalikes();
    for (host, brand, how) in [
        ("amazno-kaiteki.com", "amazon", How::Misspelt),
        ("amazom-qx.cc", "amazon", How::Misspelt),
        ("amazen-wt.bz", "amazon", How::Misspelt),
        ("amazomqzx.jp", "amazon", How::Misspelt),
        ("amzeon-hosei.com", "amazon", How::Misspelt),
        ("amazon-japan-hosei.com", "amazon", How::Combosquat),
        ("amazon-qx.cc", "amazon", How::Combosquat),
        ("amazonjp-login.example", "amazon", How::Combosquat),
        ("myamazonlogin.example", "amazon", How::Combosquat),
        ("https://amazon.co.jp@evil.example/", "amazon", How::UserInfo),
        ("https://www.amazon.co.jp:login@192.0.2.7/", "amazon", How::UserInfo),
        ("amazon.co.jp.qxw.example", "amazon", How::Embedded),
        ("www.smbc-card.com.qxw.example", "smbc-card", How::Embedded),
        ("amazon.login-qxw.example", "amazon", How::Subdomain),
        ("rakuten.xyz", "rakuten", How::Ending),
        ("amaz0n-hosei.com", "amazon", How::Digits),
        ("arnazon-hosei.com", "amazon", How::Digits),
        ("rnicrosoft-login.com", "microsoft", How::Digits),
        ("ama\u{200b}zno.com", "amazon", How::Misspelt),
        ("amazon\u{ad}-qx.cc", "amazon", How::Combosquat),
        ("аmazon.example", "amazon", How::Homograph),
        ("xn--mazon-3ve.example", "amazon", How::Homograph),
        ("раураl.example", "paypal", How::Homograph),
        ("vıewcard.example", "viewcard", How::Homograph),
        ("dhl-tracking.top", "dhl", How::Combosquat),
        ("apple-id-verify.com", "apple", How::Combosquat),
        ("view-card-login.example", "viewcard", How::Combosquat),
        ("smbc-qx.co-jp.example", "", How::Country),
        ("qx-go-jp.example", "", How::Country),
        ("vqx.ne.jp.example", "", How::Country),
        ("paypal-login.weebly.com", "paypal", How::Combosquat),
        ("paypal-login.azurewebsites.net", "paypal", How::Combosquat),
    ] {
        assert_eq!(seen(&lookalikes, host), Some((brand.to_owned(), how)), "{host}");
    }
}

#[test]
fn own_hosts_and_ordinary_ones_are_left_alone() {
    let lookalikes = lookalikes();
    for host in [
        "amazon.co.jp",
        "www.amazon.co.jp",
        "AMAZON.CO.JP.",
        "s3-ap-northeast-1.amazonaws.com",
        "e-tax.nta.go.jp",
        "docs.google.com",
        "info@amazon.co.jp",
        "example-co-jp.mail.protection.outlook.com",
        "hospital.example",
        "www.city.example.lg.jp",
        "pineapple.example",
        "apple-farm.example",
        "online.example",
        "outline-design.example",
        "visa-tokyo.example",
        "visage.example",
        "amazing-grace.example",
        "kagawa.example",
        "maison.example",
        "seasons-garden.example",
        "yamada.example",
        "financial.example",
        "192.0.2.7",
        "[2001:db8::1]",
        "localhost",
        "",
    ] {
        assert_eq!(seen(&lookalikes, host), None, "{host}");
    }
}

#[test]
fn the_finding_names_what_was_found_and_what_was_registered() {
    let lookalikes = lookalikes();
    let found = lookalikes.judge("www.amazno.qx.example").map(|found| (found.token, found.domain));
    assert_eq!(found, Some(("amazno".to_owned(), "qx.example".to_owned())));
    let found = lookalikes.judge("xn--mazon-3ve.example").map(|found| (found.token, found.domain));
    assert_eq!(found, Some(("аmazon".to_owned(), "xn--mazon-3ve.example".to_owned())));
}

#[test]
fn official_hosts_are_told_from_what_others_put_there() {
    let lookalikes = lookalikes();
    let id = |key| lookalikes.brands().find(key).unwrap();
    for (host, expected) in [
        ("www.amazon.co.jp", Some("amazon")),
        ("amazon.co.jp.example", None),
        ("notamazon.co.jp", None),
        ("accounts.google.com", Some("google")),
        ("docs.google.com", None),
        ("evil.azurewebsites.net", None),
    ] {
        assert_eq!(lookalikes.official(host), expected.map(id), "{host}");
    }
    assert!(lookalikes.belongs("docs.google.com", id("google")));
    assert!(
        lookalikes.belongs("www.rakuten.co.jp", id("rakuten-card")),
        "brands of a group share their domains"
    );
    assert!(!lookalikes.belongs("www.rakuten.co.jp", id("amazon")));
}

#[test]
fn a_hospitals_own_names_are_protected_too() {
    let own = Own {
        name: "みほん総合病院".to_owned(),
        aliases: vec!["Mihon General Hospital".to_owned()],
        domains: vec!["mihon-hp.example".to_owned(), "mhp.example".to_owned()],
    };
    let lookalikes = Lookalikes::new(&Brands::builtin().with(&[own]).unwrap());
    for (host, expected) in [
        ("mail.mihon-hp.example", None),
        ("mihonhp-mail.example", Some(How::Combosquat)),
        ("mihon-ph.test", Some(How::Misspelt)),
        ("mihon-hp.mail-check.test", Some(How::Subdomain)),
        ("mhp.test", None),
    ] {
        assert_eq!(seen(&lookalikes, host), expected.map(|how| ("own-0".to_owned(), how)), "{host}");
    }
    assert_eq!(lookalikes.official("mihon-hp.example"), Some(BrandId(0)));
}

#[test]
fn the_brands_that_come_along_can_be_read() {
    let brands = Brands::parse(include_str!("../../data/brands.toml")).unwrap();
    assert!(brands.all().len() > 100);
    for brand in brands.all() {
        assert!(
            !brand.tokens.is_empty() && !brand.aliases.is_empty() && !brand.domains.is_empty(),
            "{}",
            brand.id
        );
        assert!(
            brands.all().iter().any(|other| other.id == brand.group) || brand.group.len() < 8,
            "{}",
            brand.id
        );
    }
}

#[test]
fn a_wrong_file_is_told_with_its_line() {
    for (text, line, word) in [
        (
            "[[brand]]\nid = \"a\"\nname = \"A\"\ndomains = [\n  \"a.example\",\n  \"no domain\",\n]",
            6,
            "no domain",
        ),
        ("[[brand]]\nid = \"A\"\nname = \"A\"", 2, "lower-case"),
        ("[[brand]]\nid = \"a\"\nname = \" \"", 3, "empty"),
        ("[[brand]]\nid = \"a\"\nname = \"A\"\n[[brand]]\nid = \"a\"\nname = \"A\"", 5, "twice"),
        ("[[brand]]\nid = \"a\"\nname = \"A\"\ntokens = [\"abc\"]", 4, "5 to 32"),
        ("[[brand]]\nid = \"a\"\nname = \"A\"\ntokens = [\"abc-defg\"]", 4, "letters and digits"),
        ("[[brand]]\nid = \"a\"\nname = \"A\"\nweak = [\"\"]", 4, "alias"),
        ("\nlures = [1]", 2, "string"),
        ("[[brand]]\nid = \"a\"\nname = \"A\"\ncolour = 1", 4, "colour"),
        ("[[brand]\n", 1, ""),
    ] {
        let error = Brands::parse(text).unwrap_err();
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.to_string().contains(word), "{text}: {error}");
    }
}

#[test]
fn an_own_file_adds_brands_and_takes_the_place_of_known_ones() {
    let own = "[[brand]]\nid = \"amazon\"\nname = \"A\"\ntokens = [\"amazonas\"]\n[[brand]]\nid = \"qxw\"\nname = \"Q\"\n";
    let brands = Brands::builtin().join(Brands::parse(own).unwrap());
    assert_eq!(brands.all().len(), Brands::builtin().all().len() + 1);
    let amazon = brands.find("amazon").and_then(|id| brands.get(id)).unwrap();
    assert_eq!(amazon.tokens.len(), 1);
}

#[test]
fn no_input_is_too_odd() {
    let lookalikes = lookalikes();
    let long = ["amazon-", "xn--", "а.", "-", ".", "1", "co-jp.", "\u{200b}"].map(|piece| piece.repeat(400));
    for host in long.iter().map(String::as_str).chain([
        "xn--",
        "xn--a.xn--",
        "@@@",
        "a@",
        "%",
        "%zz%4",
        "\u{0}",
        "。",
        "[::",
        ":80",
        "//",
    ]) {
        let _ = lookalikes.judge(host);
        let _ = lookalikes.official(host);
    }
}

proptest::proptest! {
    #[test]
    fn nothing_panics_and_own_hosts_stay_clean(text in "\\PC{0,40}", label in "[a-z0-9]{1,12}(-[a-z0-9]{1,8}){0,2}") {
        thread_local!(static LOOKALIKES: Lookalikes = lookalikes());
        LOOKALIKES.with(|lookalikes| {
            let _ = lookalikes.judge(&text);
            let own = format!("{label}.rakuten.co.jp");
            proptest::prop_assert_eq!(lookalikes.judge(&own), None);
            Ok(())
        })?;
    }
}

fn unpacked(test: &str, corpus: &str) -> Option<String> {
    let path = testkit::shared(test, corpus)?;
    let gzip = testkit::tool(test, "gzip")?;
    let output = Command::new(gzip).arg("-dc").arg::<&Path>(&path).output().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// No popular site may be called a look-alike, and no list of popular sites comes along.
#[test]
fn popular_sites_are_left_alone() {
    let Some(sites) = unpacked("popular_sites_are_left_alone", "mail/domains/tranco-1m-20250115.txt.gz")
    else {
        return;
    };
    let lookalikes = lookalikes();
    // Words and rules were chosen by looking at the even lines: only the odd ones tell something.
    let odd: Vec<&str> = sites.lines().skip(1).step_by(2).collect();
    let wrong: Vec<_> = odd.iter().filter_map(|host| Some((*host, lookalikes.judge(host)?.how))).collect();
    let ppm = wrong.len() as f64 * 1e6 / odd.len() as f64;
    assert!(ppm <= 50.0, "{ppm:.1} ppm of {}: {wrong:?}", odd.len());
}

#[test]
fn phishing_hosts_that_look_alike_are_found() {
    let Some(hosts) =
        unpacked("phishing_hosts_that_look_alike_are_found", "mail/domains/jpcert-phish-hosts.tsv.gz")
    else {
        return;
    };
    let lookalikes = lookalikes();
    // Most hosts are random strings nowadays.
    let mut by_year: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for line in hosts.lines().skip(1) {
        let mut fields = line.split('\t');
        let (Some(date), Some(host)) = (fields.next(), fields.next()) else { continue };
        let count = by_year.entry(date.get(..4).unwrap_or_default()).or_default();
        count.0 += 1;
        count.1 += usize::from(lookalikes.judge(host).is_some());
    }
    let rate = |year| by_year.get(year).map_or(0.0, |(all, found)| *found as f64 / *all as f64);
    let (all, found) = by_year.values().fold((0, 0), |sum, year| (sum.0 + year.0, sum.1 + year.1));
    let catches = rate("2019") >= 0.20 && rate("2020") >= 0.33 && found * 100 >= all * 18;
    assert!(catches, "{found} of {all}: {by_year:?}");
}
