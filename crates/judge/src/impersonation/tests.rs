use super::*;

struct Tools {
    lookalikes: Lookalikes,
    impersonation: Impersonation,
}

fn tools() -> Tools {
    let brands = Brands::builtin();
    Tools { impersonation: Impersonation::new(&brands), lookalikes: Lookalikes::new(&brands) }
}

impl Tools {
    /// Keys of the brands that a text names, `*` behind those that are disguised, `?` behind those that are not sure.
    fn named(&self, text: &str, place: Place) -> Vec<String> {
        let brands = self.lookalikes.brands();
        let mut named: Vec<String> = self
            .impersonation
            .mentions(text, place)
            .into_iter()
            .map(|mention| {
                let key = brands.get(mention.brand).unwrap().id.clone();
                let sure = if mention.strength == Strength::Weak { "?" } else { "" };
                let plain = if mention.disguised { "*" } else { "" };
                format!("{key}{plain}{sure}")
            })
            .collect();
        named.sort();
        named
    }
}

#[test]
fn names_are_found_however_they_are_written() {
    let tools = tools();
    for (text, place, expected) in [
        ("Amazon", Place::Name, "amazon"),
        ("Amazon.co.jp", Place::Name, "amazon"),
        ("AmazonID", Place::Name, "amazon"),
        ("ＡＭＡＺＯＮ", Place::Name, "amazon"),
        ("アマゾンジャパン", Place::Name, "amazon"),
        ("ｱﾏｿﾞﾝ", Place::Name, "amazon"),
        ("ア マ ゾ ン", Place::Name, "amazon*"),
        ("A m a z o n", Place::Name, "amazon*"),
        ("Аmаzоn", Place::Name, "amazon*"),
        ("Ama\u{200b}zon", Place::Name, "amazon*"),
        ("Amazom", Place::Name, "amazon*"),
        ("Arnazon Japan", Place::Name, "amazon*"),
        ("お使いのAmazon IDがロックされます！", Place::Subject, "amazon"),
        ("Amzon - 親愛なるお客様、アカウントは停止されています。", Place::Subject, "amazon*"),
        ("【楽天カード】カードご利用のお知らせ", Place::Subject, "rakuten-card"),
        ("三井住友 カード 株式会社", Place::Name, "smbc-card"),
        ("ETC利用照会サービス事務局", Place::Name, "etc"),
        ("えきねっと", Place::Name, "jr-east"),
        ("国税庁 e-Tax", Place::Name, "nta"),
        ("Apple", Place::Name, "apple?"),
        ("Apple Support", Place::Name, "apple"),
        ("Apple の請求", Place::Subject, "apple?"),
        ("イオンカード", Place::Name, "aeon"),
        ("イオン", Place::Name, "aeon?"),
        ("LINEアカウントのご確認", Place::Subject, "line"),
        ("PayPaI", Place::Name, "paypal*"),
        ("M1crosoft account team", Place::Name, "microsoft*"),
        ("info@amazon.co.jp", Place::Name, "amazon"),
        ("Bank of America Alert", Place::Name, "bank-of-america"),
        ("Itaú", Place::Name, "latam-banks"),
    ] {
        assert_eq!(tools.named(text, place).join(" "), expected, "{text}");
    }
}

#[test]
fn words_of_the_language_are_no_names() {
    let tools = tools();
    for text in [
        "I had an apple for lunch and stood in line for a visa.",
        "Please see the outlook for 2024; the team will chase the discover target.",
        "点滴ラインを確保し、カリウムイオン濃度を確認してください。",
        "オンライン診療のガイドラインについて",
        "アマゾン川の熱帯雨林に関する講演会",
        "パイナップルとアップルパイ",
        "コンプロミス症例の検討",
        "楽天的な性格",
        "Our maison in Kagawa; Mr Yamada's finance seminar. Amazing seasons, goggles and a papal visit.",
        "The zoom lens and the steam engine; au revoir, take care of your meta-analysis.",
        "See https://www.microsoft.com/download and write to someone@amazon.com.",
        "",
    ] {
        assert_eq!(tools.named(text, Place::Body), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_name_is_held_against_sender_and_links() {
    let tools = tools();
    let check = |name: &str, senders: &[&str], links: &[&str]| {
        let claims = Claims { name, senders, links, ..Claims::default() };
        let posing = tools.impersonation.judge(&claims, &tools.lookalikes);
        posing.first().map(|posing| {
            (posing.is_foreign(), posing.sender_own, posing.links_own, posing.links_foreign.len())
        })
    };
    for (name, senders, links, expected) in [
        (
            "Amazon",
            &["amazno.example"][..],
            &["amazno.example", "amazno.example"][..],
            Some((true, false, 0, 1)),
        ),
        ("Amazon", &["amazon.co.jp"], &["www.amazon.co.jp"], Some((false, true, 1, 0))),
        ("Amazon", &["evil.example"], &["www.amazon.co.jp", "evil.example"], Some((false, false, 1, 1))),
        ("楽天カード", &["mail.rakuten.co.jp"], &[], Some((false, true, 0, 0))),
        ("Netflix", &["evil.example"], &["click.list-manage.com"], Some((true, false, 0, 0))),
        ("山田太郎", &["evil.example"], &["evil.example"], None),
    ] {
        assert_eq!(check(name, senders, links), expected, "{name} {senders:?}");
    }
}

#[test]
fn a_hospitals_own_department_may_write_of_its_mailboxes() {
    let own = crate::lookalike::Own {
        name: "みほん病院".to_owned(),
        domains: vec!["mihon.example".to_owned()],
        ..Default::default()
    };
    let brands = Brands::builtin().with(&[own]).unwrap();
    let (impersonation, lookalikes) = (Impersonation::new(&brands), Lookalikes::new(&brands));
    for (sender, foreign) in [("mihon.example", false), ("evil.example", true)] {
        let claims = Claims { name: "IT Support", senders: &[sender], ..Claims::default() };
        let posing = impersonation.judge(&claims, &lookalikes);
        assert_eq!(posing.iter().map(Posing::is_foreign).collect::<Vec<_>>(), [foreign], "{sender}");
    }
}

#[test]
fn a_shown_address_is_misleading_only_where_it_is_a_brands() {
    let tools = tools();
    for (shown, actual, expected) in [
        ("https://www.amazon.co.jp/", "https://evil.example/", Some("www.amazon.co.jp")),
        ("https://www.amazon.co.jp/", "https://amazon.co.jp/x", None),
        ("https://www.amazon.co.jp/", "https://click.list-manage.com/x", None),
        ("https://www.amazon.co.jp/", "https://www.google.com/url?q=x", None),
        ("https://www.hospital.example/", "https://evil.example/", None),
        ("こちら", "https://evil.example/", None),
    ] {
        let found = tools.impersonation.misleading(shown, actual, &tools.lookalikes);
        assert_eq!(found.map(|(_, host)| host).as_deref(), expected, "{shown} {actual}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_odd(text in "(\\PC|amazon|アマゾン| |visa|\u{200b}){0,60}") {
        thread_local!(static TOOLS: Tools = tools());
        TOOLS.with(|tools| {
            for place in [Place::Name, Place::Subject, Place::Body] {
                let _ = tools.impersonation.mentions(&text, place);
            }
            let _ = displayed_host(&text);
        });
    }
}
