//! The sealed store as administrators handle it: in by name, out for nobody.

use jiff::Timestamp;

use super::{Access, Audit, Denied, Error, Permission, Secret, Who, Why};

impl Access {
    /// The names of what is stored.
    pub(crate) fn secrets(&self, who: &Who, now: Timestamp) -> Result<Vec<String>, Denied> {
        if !who.may(Permission::Secrets) {
            self.require(who, Permission::Secrets, "", now)?;
        }
        Ok(self.0.sealed.names()?)
    }

    /// Stores a secret.
    pub(crate) fn set_secret(
        &self,
        who: &Who,
        name: &str,
        value: Secret,
        now: Timestamp,
    ) -> Result<(), Denied> {
        self.require(who, Permission::Secrets, "", now)?;
        match self.0.sealed.set(name, value) {
            Err(Error::Unfit(why)) => Err(Denied::new(
                Why::Input,
                format!("the secret cannot be stored: {why}"),
                "秘密情報を保存できません。名前は英小文字・数字・「.」「-」「_」で64文字まで、値は1～65536バイト、全部で256件までです。",
            )),
            stored => {
                stored?;
                self.audit(Audit::of(who, "set_secret", name, true, now));
                Ok(())
            }
        }
    }

    /// Removes a secret.
    pub(crate) fn remove_secret(&self, who: &Who, name: &str, now: Timestamp) -> Result<(), Denied> {
        self.require(who, Permission::Secrets, "", now)?;
        if !self.0.sealed.remove(name)? {
            return Err(Denied::new(
                Why::Input,
                "there is no secret of that name",
                "その名前の秘密情報はありません。",
            ));
        }
        self.audit(Audit::of(who, "remove_secret", name, true, now));
        Ok(())
    }
}
