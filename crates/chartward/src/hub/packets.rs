//! The alarms of a sensor that does not see everything: dropped packets, interfaces that give none, a mirror of one direction.

use schema::{Alarm, InterfaceHealth, PacketHealth, Severity, WatcherHealth};

/// `drops`: packets were dropped lately.
pub(super) fn alarms(health: &WatcherHealth, drops: bool) -> Vec<Alarm> {
    let Some(packets) = &health.packets else { return Vec::new() };
    let blind = packets.interfaces.iter().filter(|interface| interface.state != "up");
    let mut alarms: Vec<Alarm> = blind.map(|interface| blind_at(&health.name, interface)).collect();
    if drops {
        alarms.push(dropping(&health.name, packets));
    }
    if packets.one_way_mirror {
        alarms.push(one_way(&health.name, packets));
    }
    alarms
}

fn dropping(name: &str, packets: &PacketHealth) -> Alarm {
    let PacketHealth { packets, dropped, .. } = packets;
    Alarm {
        id: "sensor.drops".to_owned(),
        severity_id: Severity::High,
        title: format!(
            "The sensor {name} does not keep up: the kernel dropped {dropped} packets unseen, beside {packets} that were read."
        ),
        title_ja: format!(
            "センサー {name} の処理が追いついていません。{dropped}個のパケットを取りこぼしました（処理できたのは{packets}個）。"
        ),
        next_step: "Raise [sensor] ring, give the machine a further core, or mirror fewer ports; a flood may be there to hide an attack."
            .to_owned(),
        next_step_ja:
            "[sensor] の ring を上げるか、CPU を増やすか、ミラーするポートを減らしてください。攻撃を隠すための大量送信の可能性もあります。"
                .to_owned(),
    }
}

fn blind_at(name: &str, interface: &InterfaceHealth) -> Alarm {
    let of = &interface.name;
    let (en, ja) = match interface.state.as_str() {
        "no_carrier" => ("nothing is plugged in", "ケーブルがつながっていません"),
        "gone" => ("there is no such interface any more", "インターフェースがなくなりました"),
        _ => ("the interface is down", "インターフェースが停止しています"),
    };
    Alarm {
        id: "sensor.blind".to_owned(),
        severity_id: Severity::High,
        title: format!("The sensor {name} sees nothing on {of}: {en}."),
        title_ja: format!("センサー {name} は {of} を監視できていません。{ja}。"),
        next_step: format!(
            "Look at the cable and the switch's mirror port, then at `ip link show {of}`. It goes on by itself once the interface is up."
        ),
        next_step_ja: format!(
            "ケーブルとスイッチのミラーポートを確かめ、`ip link show {of}` を実行してください。復旧すれば自動で再開します。"
        ),
    }
}

fn one_way(name: &str, packets: &PacketHealth) -> Alarm {
    let percent = packets.one_way_percent;
    Alarm {
        id: "sensor.one_way".to_owned(),
        severity_id: Severity::Medium,
        title: format!("The sensor {name} sees one direction only of {percent} % of all flows: the mirror is one-way."),
        title_ja: format!("センサー {name} は、通信の{percent}%で片方向しか見えていません。ミラーが片方向です。"),
        next_step: "Let the switch mirror both directions (`both`, not `rx` or `tx`); until then scans are judged with reserve."
            .to_owned(),
        next_step_ja: "スイッチのミラー設定を両方向（both）にしてください。それまで、探索の判定は控えめになります。"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use schema::{WatcherClass, WatcherState};

    use super::*;

    #[test]
    fn what_a_sensor_does_not_see_is_an_alarm() {
        let interface =
            |state: &str| InterfaceHealth { name: "eth1".into(), state: state.into(), ..Default::default() };
        let packets = |state: &str, one_way_mirror| PacketHealth {
            interfaces: vec![interface(state)],
            one_way_mirror,
            ..PacketHealth::default()
        };
        for (packets, drops, expected) in [
            (None, true, &[][..]),
            (Some(packets("up", false)), false, &[]),
            (Some(packets("up", false)), true, &["sensor.drops"]),
            (Some(packets("gone", true)), false, &["sensor.blind", "sensor.one_way"]),
        ] {
            let health = WatcherHealth {
                name: "net".into(),
                class: WatcherClass::Sensor,
                state: WatcherState::Ready,
                pid: None,
                ready_at: None,
                last_line_at: None,
                lines: 0,
                garbage: 0,
                dropped: 0,
                restarts: 0,
                trouble: String::new(),
                blind_spots: Vec::new(),
                blind_spots_ja: Vec::new(),
                packets,
            };
            let found: Vec<String> = alarms(&health, drops).into_iter().map(|alarm| alarm.id).collect();
            assert_eq!(found, expected);
        }
    }
}
