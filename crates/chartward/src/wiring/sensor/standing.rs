//! How the sensor stands, for whoever asks over its control socket.

use std::net::IpAddr;
use std::path::Path;

use judge::network::LearntPair;
use serde::Deserialize;
use serde_json::{Value, json};

use super::report::{Health, health_fields};
use crate::wiring::control::{Asked, Control, done};

/// What may be asked of it. It acts on nobody, so there is nothing to arm.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Request {
    /// How does it stand?
    Health,
    /// Read rules and lists anew.
    Reload,
    /// Which pairs were learnt?
    Learnt,
    /// Forget one of them.
    Forget { client: IpAddr, server: IpAddr, port: u16 },
    /// Forget all of them.
    ForgetAll,
}

/// More would not fit into an answer.
const PAIRS_MAX: usize = 400;

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
    fields["mode"] = "sensor".into();
    fields["armed"] = false.into();
    done(fields)
}

pub(super) fn learnt(pairs: &[LearntPair]) -> Value {
    let rows: Vec<&LearntPair> = pairs.iter().take(PAIRS_MAX).collect();
    done(json!({"count": pairs.len(), "pairs": rows}))
}
