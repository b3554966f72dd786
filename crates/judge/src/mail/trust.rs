use decode::mail::Message;
use schema::Authentication;

/// Whose Authentication-Results are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trusted {
    ids: Vec<String>,
}

impl Trusted {
    /// The servers with these authserv-ids (RFC 8601 §2.5); `*` is everybody, which only makes sense for collections of mail.
    pub fn new(ids: impl IntoIterator<Item = String>) -> Self {
        Self { ids: ids.into_iter().map(|id| id.trim().to_lowercase()).collect() }
    }

    fn trusts(&self, id: &str) -> bool {
        self.ids.iter().any(|trusted| trusted == "*" || trusted == id)
    }
}

/// What a trusted server says: the last one that the mail passed. What stands below it may have come with the mail.
pub fn trusted_authentication(message: &Message, trusted: &Trusted) -> Option<Authentication> {
    let says = |results: &Authentication| {
        results.spf.is_some() || results.dmarc.is_some() || !results.dkim.is_empty()
    };
    let fields = &message.authentication_results;
    let field = fields.iter().find(|field| trusted.trusts(&field.authserv_id) && says(&field.results))?;
    let mut known = field.results.clone();
    // A server may write one field for each method; they stand together.
    let same = fields.iter().skip_while(|other| *other != field).skip(1);
    for other in same.take_while(|other| other.authserv_id == field.authserv_id).map(|other| &other.results) {
        known.spf = known.spf.or_else(|| other.spf.clone());
        known.dmarc = known.dmarc.or_else(|| other.dmarc.clone());
        known.arc = known.arc.or(other.arc);
        if known.dkim.is_empty() {
            known.dkim.clone_from(&other.dkim);
        }
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use decode::mail::AuthenticationResults;
    use schema::AuthResult;

    use super::*;

    fn field(id: &str, spf: Option<AuthResult>, dmarc: Option<AuthResult>) -> AuthenticationResults {
        let of = |result: AuthResult| (result, "example.test".to_owned());
        let results = Authentication {
            spf: spf.map(of),
            dmarc: dmarc.map(of),
            by: id.to_owned(),
            ..Authentication::default()
        };
        AuthenticationResults { authserv_id: id.to_owned(), results }
    }

    #[test]
    fn only_the_last_trusted_server_is_believed() {
        use AuthResult::{Fail, Pass};
        let fields = vec![
            field("other.test", Some(Pass), None),
            field("mx.test", Some(Fail), None),
            field("mx.test", None, Some(Fail)),
            field("forged.test", Some(Pass), Some(Pass)),
            field("mx.test", Some(Pass), Some(Pass)),
        ];
        let message = Message { authentication_results: fields, ..Message::default() };
        let known = |ids: &[&str]| {
            trusted_authentication(&message, &Trusted::new(ids.iter().map(|id| (*id).to_owned())))
        };
        let ours = known(&["MX.test"]).unwrap();
        assert_eq!((ours.spf.unwrap().0, ours.dmarc.unwrap().0), (Fail, Fail));
        assert_eq!(known(&["*"]).unwrap().by, "other.test");
        assert_eq!(known(&[]), None);
        assert_eq!(known(&["unknown.test"]), None);
    }
}
