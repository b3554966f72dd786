//! What may be asked of the watcher of logs over its control socket.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::report::{Health, health_fields};
use crate::wiring::control::{Asked, Control, done};

/// What may be asked of it. It acts on nobody, so there is nothing to arm.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Request {
    /// How does it stand?
    Health,
    /// Read rules anew.
    Reload,
}

#[derive(Debug)]
pub(super) struct Standing {
    control: Option<Control<Request>>,
}

impl Standing {
    pub(super) fn serve(path: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self { control: path.map(Control::serve).transpose()? })
    }

    pub(super) fn next(&self) -> Option<Asked<Request>> {
        self.control.as_ref()?.next()
    }
}

pub(super) fn health(health: &Health) -> Value {
    let mut fields = health_fields(health);
    fields["mode"] = "logs".into();
    fields["armed"] = false.into();
    done(fields)
}
