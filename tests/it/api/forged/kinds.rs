//! Every kind of forged token, and what is wrong with each.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};

use crate::harness::*;

/// What is wrong, and the token.
pub type Forged = Vec<(String, String)>;

/// A token of these two texts, whatever they are, signed with HMAC over them.
fn jws(header: &str, payload: &[u8], secret: &str, hash: Algorithm) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, hash);
    format!("{message}.{}", signature.expect("a text can be signed"))
}

/// As [`jws`], with the right secret and the hash that its header should name.
pub fn well_signed(header: &str, payload: &[u8]) -> String {
    jws(header, payload, tokens::DEV_SECRET, Algorithm::HS256)
}

const GOOD_HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// Claims that would do.
pub fn good_claims() -> String {
    tokens::claims("ada").to_string()
}

/// Headers with another algorithm than the one, signed as well as can be without another key.
fn other_algorithms() -> Forged {
    let mut forged = Forged::new();
    let good = good_claims();
    for name in [
        "none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "Hs256", "HMAC", "dir", "A256KW",
    ] {
        let header = json!({"alg": name, "typ": "JWT"}).to_string();
        let signed = well_signed(&header, good.as_bytes());
        let (message, _) = signed.rsplit_once('.').expect("it has three parts");
        forged.push((
            format!("alg {name:?} without a signature"),
            format!("{message}."),
        ));
        forged.push((format!("alg {name:?} in two parts"), message.to_owned()));
        forged.push((format!("alg {name:?}, signed"), signed));
    }
    for name in [
        "RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA", "HS384", "HS512",
    ] {
        let header = json!({"alg": name, "typ": "JWT"}).to_string();
        let signed = well_signed(&header, good.as_bytes());
        forged.push((format!("alg {name} with the secret as its key"), signed));
    }
    for hash in [Algorithm::HS384, Algorithm::HS512] {
        for header in [
            GOOD_HEADER.to_owned(),
            json!({"alg": format!("{hash:?}")}).to_string(),
        ] {
            let signed = jws(&header, good.as_bytes(), tokens::DEV_SECRET, hash);
            forged.push((format!("{header}, signed with {hash:?}"), signed));
        }
    }
    for header in [
        r#"{"typ":"JWT"}"#,
        r#"{"alg":null}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":256}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"ALG":"HS256"}"#,
        r#"["HS256"]"#,
        r#""HS256""#,
        "",
        "{",
    ] {
        forged.push((
            format!("the header {header}"),
            well_signed(header, good.as_bytes()),
        ));
    }
    forged
}

/// Headers that name a key, signed with that key; and headers that ask for more than we know.
fn other_keys() -> Forged {
    let mut forged = Forged::new();
    let (own, good) = ("a key of whoever attacks", good_claims());
    let jwk = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(own), "alg": "HS256"});
    for (secret, more) in [
        ("", json!({"kid": "../../../../dev/null"})),
        ("", json!({"kid": "/proc/sys/kernel/randomize_va_space"})),
        (
            own,
            json!({"kid": "' UNION SELECT 'a key of whoever attacks'--"}),
        ),
        (own, json!({"kid": "x\u{0}"})),
        (own, json!({"jku": "http://127.0.0.1:1/keys.json"})),
        (own, json!({"x5u": "http://127.0.0.1:1/chain.pem"})),
        (own, json!({"x5c": ["MIIB", ""]})),
        (own, json!({"jwk": jwk})),
        (own, json!({"jwk": {"kty": "oct"}})),
        (tokens::DEV_SECRET, json!({"crit": ["exp"], "exp": 1})),
        (tokens::DEV_SECRET, json!({"crit": []})),
        (tokens::DEV_SECRET, json!({"crit": ["b64"], "b64": false})),
        (tokens::DEV_SECRET, json!({"crit": "exp"})),
        (tokens::DEV_SECRET, json!({"kid": 17})),
        (tokens::DEV_SECRET, json!({"typ": ["JWT"]})),
    ] {
        let mut header = json!({"alg": "HS256", "typ": "JWT"});
        for (name, value) in more.as_object().expect("it is an object") {
            header[name] = value.clone();
        }
        let token = jws(
            &header.to_string(),
            good.as_bytes(),
            secret,
            Algorithm::HS256,
        );
        forged.push((format!("the header {header}"), token));
    }
    forged
}

/// Well-signed texts that do not say what a token has to say, or say it twice.
fn other_claims() -> Forged {
    let mut forged = Forged::new();
    let good = good_claims();
    let mut push =
        |what: String, payload: &[u8]| forged.push((what, well_signed(GOOD_HEADER, payload)));
    for (name, values) in [
        (
            "sub",
            vec![
                json!(1.5),
                json!(true),
                json!({}),
                json!("\u{7f}"),
                json!("ada\r\nX: y"),
                json!("\u{9f}"),
            ],
        ),
        (
            "exp",
            vec![
                json!("9999999999"),
                json!(1.5),
                json!(-1.5),
                json!(-9_000_000_000_000_i64),
                json!(1e300),
                json!(true),
                json!([9_999_999_999_i64]),
                json!({}),
                json!(0),
                json!(""),
            ],
        ),
        (
            "nbf",
            vec![
                json!("0"),
                json!(-1),
                json!([]),
                json!(true),
                json!(1e300),
                json!(tokens::in_seconds(31)),
            ],
        ),
        (
            "iss",
            vec![
                json!([]),
                json!(["user-service"]),
                json!(["evil", "user-service"]),
                json!({}),
                json!(true),
                json!(""),
                json!("user-service "),
                json!("User-Service"),
                json!("user-service\u{0}"),
                json!(null),
            ],
        ),
        (
            "type",
            vec![
                json!(null),
                json!(""),
                json!("ACCESS"),
                json!("access "),
                json!("id"),
                json!(1),
                json!({}),
                json!(true),
            ],
        ),
    ] {
        for value in values {
            let claims = tokens::claims_with("ada", name, value.clone());
            push(format!("{name} is {value}"), claims.to_string().as_bytes());
        }
    }
    for (name, value) in [
        ("sub", json!("eve")),
        ("exp", json!(9_999_999_999_i64)),
        ("iss", json!("user-service")),
        ("type", json!("access")),
        ("nbf", json!(0)),
        ("aud", json!("x")),
    ] {
        let other = format!("\"{name}\":{value}");
        let twice = if good.contains(&format!("\"{name}\":")) {
            other
        } else {
            format!("{other},{other}")
        };
        push(
            format!("{name} twice"),
            good.replacen('{', &format!("{{{twice},"), 1).as_bytes(),
        );
    }
    for (what, payload) in [
        (
            "a number too large",
            good.replacen(&tokens::claims("ada")["exp"].to_string(), "1e400", 1),
        ),
        (
            "half a surrogate in sub",
            good.replace("\"ada\"", "\"\\ud800\""),
        ),
        ("a mark before it", format!("\u{feff}{good}")),
        ("more behind it", format!("{good}{good}")),
        ("a token in it", tokens::signed(&tokens::claims("ada"))),
        ("nothing", String::new()),
    ] {
        push(what.to_owned(), payload.as_bytes());
    }
    push(
        "no UTF-8".to_owned(),
        &good.replace("ada", "a?a").into_bytes().map_byte(b'?', 0xff),
    );
    forged
}

trait MapByte {
    fn map_byte(self, from: u8, to: u8) -> Vec<u8>;
}

impl MapByte for Vec<u8> {
    fn map_byte(mut self, from: u8, to: u8) -> Vec<u8> {
        for byte in self.iter_mut().filter(|byte| **byte == from) {
            *byte = to;
        }
        self
    }
}

/// Good tokens, written in ways in which a token is not written.
fn other_spellings() -> Forged {
    let good = token_with_a_dash();
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!("a token has three parts");
    };
    let other = tokens::signed(&tokens::claims("eve"));
    let foreign = other.rsplit_once('.').expect("it has three parts").1;
    let last = signature.as_bytes()[42];
    let same_bits = ALPHABET
        .bytes()
        .find(|&it| it != last && same_high_bits(it, last));
    let same_bits = same_bits.map(|it| format!("{}{}", &signature[..42], it as char));
    [
        ("no signature", format!("{header}.{payload}.")),
        (
            "a signature of another token",
            format!("{header}.{payload}.{foreign}"),
        ),
        (
            "claims of another token",
            format!(
                "{header}.{}.{signature}",
                other.split('.').nth(1).unwrap_or("")
            ),
        ),
        (
            "half a signature",
            format!("{header}.{payload}.{}", &signature[..20]),
        ),
        ("more signature", format!("{good}AAAA")),
        ("padding", format!("{good}=")),
        (
            "padding in the middle",
            format!("{header}==.{payload}.{signature}"),
        ),
        (
            "the other alphabet",
            format!(
                "{header}.{payload}.{}",
                signature.replace('-', "+").replace('_', "/")
            ),
        ),
        (
            "bits that are not used",
            format!("{header}.{payload}.{}", same_bits.expect("there is one")),
        ),
        ("a space in it", format!("{header}.{payload} .{signature}")),
        ("a tab in it", format!("{header}\t.{payload}.{signature}")),
        ("a fourth part", format!("{good}.")),
        ("a fifth part", format!("{header}..{payload}.{signature}.x")),
        ("a part before it", format!(".{good}")),
        ("two parts", format!("{payload}.{signature}")),
        ("one part", header.to_owned()),
        ("points", "..".to_owned()),
        ("escapes", good.replace('.', "%2e")),
        ("quotes", format!("\"{good}\"")),
        (
            "as JSON",
            json!({"payload": payload, "protected": header, "signature": signature}).to_string(),
        ),
        ("twice", format!("{good},{good}")),
        ("in lower case", good.to_lowercase()),
        ("12 KiB of points", ".".repeat(12_288)),
        (
            "12 KiB of it",
            format!(
                "{header}.{}.{signature}",
                payload.repeat(12_288 / payload.len())
            ),
        ),
    ]
    .map(|(what, token)| (what.to_owned(), token))
    .to_vec()
}

/// A good token whose signature has a letter that the two alphabets write differently.
fn token_with_a_dash() -> String {
    (0..)
        .map(|number| tokens::signed(&tokens::claims_with("ada", "number", json!(number))))
        .find(|token| {
            token
                .rsplit('.')
                .next()
                .is_some_and(|it| it.contains(['-', '_']))
        })
        .expect("numbers do not end")
}

/// The letters of base64url, by value.
const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Whether two letters stand for six bits of which the first four are the same: the last letter of 32
/// bytes has no more.
fn same_high_bits(one: u8, other: u8) -> bool {
    let value = |letter: u8| ALPHABET.find(letter as char).map(|at| at / 4);
    value(one).is_some() && value(one) == value(other)
}

/// All of them.
pub fn all() -> Forged {
    [
        other_algorithms(),
        other_keys(),
        other_claims(),
        other_spellings(),
    ]
    .concat()
}
