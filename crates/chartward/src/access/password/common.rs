//! Passwords that attackers try first. With twelve characters and more these are not a list but a few shapes:
//! common words with digits around them, repetitions, runs along the keyboard or the alphabet, numbers.

/// Words that such passwords are made of, in the spelling that [`letters`] leaves.
const WORDS: &[&str] = &[
    "abc",
    "account",
    "admin",
    "administrator",
    "akira",
    "angel",
    "asdf",
    "asdfgh",
    "asdfghjkl",
    "aiueo",
    "amuro",
    "backup",
    "baseball",
    "basketball",
    "battery",
    "blink",
    "byouin",
    "carte",
    "changeme",
    "charlie",
    "chart",
    "charts",
    "chartward",
    "chocolate",
    "clinic",
    "computer",
    "connect",
    "correct",
    "daisuki",
    "default",
    "denkaru",
    "denshi",
    "denshikarute",
    "doctor",
    "doraemon",
    "dragon",
    "emr",
    "football",
    "freedom",
    "guest",
    "hello",
    "hanako",
    "hospital",
    "horse",
    "ichiro",
    "iloveyou",
    "internet",
    "isha",
    "iryou",
    "jannshi",
    "japan",
    "jesus",
    "joho",
    "jouhou",
    "kango",
    "kangofu",
    "kanri",
    "kanrisha",
    "karute",
    "kenkou",
    "letmein",
    "linux",
    "login",
    "love",
    "lovely",
    "maintenance",
    "manager",
    "master",
    "me",
    "medical",
    "michael",
    "microsoft",
    "monkey",
    "my",
    "naruto",
    "network",
    "new",
    "nintendo",
    "nippon",
    "nurse",
    "ohayo",
    "oracle",
    "pass",
    "passcode",
    "passwd",
    "password",
    "pasuwado",
    "pikachu",
    "please",
    "pokemon",
    "princess",
    "qazwsx",
    "qwert",
    "qwerty",
    "qwertyuiop",
    "remote",
    "ringo",
    "root",
    "sakura",
    "samurai",
    "secret",
    "security",
    "sensei",
    "server",
    "service",
    "setup",
    "shadow",
    "spring",
    "staple",
    "starwars",
    "summer",
    "sunshine",
    "superman",
    "support",
    "suzuki",
    "system",
    "takahashi",
    "tanaka",
    "tarou",
    "tanaka",
    "temp",
    "temporary",
    "test",
    "tester",
    "the",
    "this",
    "tokyo",
    "toyota",
    "trustno",
    "user",
    "vendor",
    "wakuwaku",
    "ward",
    "watanabe",
    "welcome",
    "whatever",
    "windows",
    "winter",
    "word",
    "yamada",
    "yamato",
    "yuki",
    "zaq",
    "zxcvbn",
    "zxcvbnm",
    "パスワード",
    "病院",
    "医院",
    "電子カルテ",
    "カルテ",
    "管理者",
    "管理",
    "看護",
    "医療",
    "システム",
    "さくら",
    "あいうえお",
];

/// What lies beside each other on keyboards and in order.
const ROWS: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik",
    "あいうえおかきくけこさしすせそたちつてとなにぬねの",
];

/// Whether the password is one of those shapes.
pub(super) fn is_common(normal: &str) -> bool {
    let lower: Vec<char> = normal.to_lowercase().chars().collect();
    has_few_characters(&lower) || is_repetition(&lower) || is_run(&lower) || is_words(&lower)
}

/// Whether the password is a name with digits or punctuation in and around it, or the name twice.
pub(super) fn is_name(normal: &str, name: &str) -> bool {
    let (password, name) = (letters(&lower(normal), as_typed), letters(&lower(name), as_typed));
    if name.is_empty() {
        return false;
    }
    // "kita clinic" as kitaclinic2024, kita-clinic-kita-clinic.
    password.chunks(name.len()).all(|chunk| chunk == name) && !password.is_empty()
}

fn lower(text: &str) -> Vec<char> {
    text.to_lowercase().chars().collect()
}

fn has_few_characters(text: &[char]) -> bool {
    let mut different = text.to_vec();
    different.sort_unstable();
    different.dedup();
    different.len() < 5
}

/// `abcd1abcd1abcd1`, also cut short.
fn is_repetition(text: &[char]) -> bool {
    (1..=text.len() / 2).any(|unit| text.iter().zip(&text[unit..]).all(|(left, right)| left == right))
}

/// At least three quarters of the steps go to a neighbour: `qwertyuiop12`, `abcdefgh4321`.
fn is_run(text: &[char]) -> bool {
    let steps = text.windows(2).filter(|pair| are_neighbours(pair[0], pair[1])).count();
    steps * 4 >= text.len().saturating_sub(1) * 3
}

fn are_neighbours(left: char, right: char) -> bool {
    let beside = |row: &&str| {
        let mut pairs = row.chars().zip(row.chars().skip(1));
        pairs.any(|(one, two)| (one, two) == (left, right) || (two, one) == (left, right))
    };
    left == right || ROWS.iter().any(beside)
}

/// Nothing but up to four common words, digits and punctuation, also with digits for letters.
fn is_words(text: &[char]) -> bool {
    // What surrounds the words is no letter of theirs: p@ssw0rd!2026.
    let from = text.iter().position(|letter| letter.is_alphabetic()).unwrap_or(0);
    let to = text.iter().rposition(|letter| letter.is_alphabetic()).map_or(0, |last| last + 1);
    let text = &text[from..to.max(from)];
    [as_typed, as_meant].into_iter().any(|meaning| {
        let letters: String = letters(text, meaning).into_iter().collect();
        is_of_words(&letters, 4)
    })
}

fn is_of_words(rest: &str, words: u32) -> bool {
    rest.is_empty()
        || (words > 0
            && WORDS
                .iter()
                .any(|word| rest.strip_prefix(word).is_some_and(|rest| is_of_words(rest, words - 1))))
}

fn letters(text: &[char], meaning: fn(char) -> char) -> Vec<char> {
    text.iter().map(|letter| meaning(*letter)).filter(|letter| letter.is_alphabetic()).collect()
}

fn as_typed(letter: char) -> char {
    letter
}

/// `p@ssw0rd` means password.
fn as_meant(letter: char) -> char {
    match letter {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        letter => letter,
    }
}
