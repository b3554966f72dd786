use schema::{AuthEvent, AuthOutcome, AuthProtocol, AuthReason};

use super::rank::page_rank;
use super::*;

const HOUR: Micros = 3_600_000_000;

fn event<'a>(hour: i64, account: &'a str, from: &str, host: &'a str, outcome: AuthOutcome) -> AuthEvent<'a> {
    AuthEvent {
        at: hour * HOUR,
        host,
        protocol: AuthProtocol::Rdp,
        outcome,
        reason: if outcome == AuthOutcome::Failure { AuthReason::WrongSecret } else { AuthReason::None },
        account: Some(account),
        domain: None,
        source: from.parse().ok(),
        workstation: None,
        logon_type: Some(10),
        session: None,
    }
}

fn graph(events: &[AuthEvent<'_>]) -> Graph {
    let mut graph = Graph::default();
    for event in events {
        graph.take(event, &Rules::default());
    }
    graph
}

/// By hand: c = 0.15/3 + 0.85 * (a + b), a = b = 0.15/3 + 0.85 * c/2, so that c = 0.135 / 0.2775.
#[test]
fn the_ranks_are_those_computed_by_hand() {
    let ranks = page_rank(3, &[(0, 1), (0, 2)]);
    let expected = [0.135 / 0.2775, 0.05 + 0.425 * 0.135 / 0.2775, 0.05 + 0.425 * 0.135 / 0.2775];
    for (rank, expected) in ranks.iter().zip(expected) {
        assert!((rank - expected).abs() < 1e-9, "{rank} {expected}");
    }
    let sum: f64 = page_rank(5, &[(0, 1), (0, 2)]).iter().sum();
    assert!((sum - 1.0).abs() < 1e-9);
    assert!(page_rank(0, &[]).is_empty());
}

#[test]
fn what_most_leads_through_stands_first() {
    use AuthOutcome::Success;
    let events: Vec<_> = ["emr", "files", "backup", "dc"]
        .iter()
        .zip(1..)
        .map(|(host, hour)| event(hour, "administrator", "10.1.1.1", host, Success))
        .collect();
    let order = ranks(&graph(&events));
    assert_eq!(order[0].node, Node::Account("administrator".into()));
}

/// A contractor's VPN, a server, from there the next, and meanwhile others who work as always.
fn osaka() -> Vec<AuthEvent<'static>> {
    use AuthOutcome::{Failure, Success};
    let named = |event: AuthEvent<'static>, name| AuthEvent { workstation: Some(name), ..event };
    vec![
        event(1, "nurse", "10.1.1.50", "emr01", Success),
        event(2, "administrator", "10.9.0.4", "menu01", Failure),
        event(3, "administrator", "10.9.0.4", "menu01", Success),
        named(event(4, "administrator", "10.1.2.3", "emr01", Success), "MENU01"),
        named(event(5, "administrator", "10.1.2.4", "backup01", Success), "emr01"),
        named(event(6, "kitchen", "10.1.2.3", "files01", Success), "menu01"),
        // Before the machine was reached: not his.
        named(event(2, "operator", "10.1.2.4", "dc01", Success), "emr01"),
        event(7, "nurse", "10.1.1.50", "files01", Success),
    ]
}

#[test]
fn the_way_goes_from_machine_to_machine_in_the_order_of_time() {
    let graph = graph(&osaka());
    let steps = walk(&graph, &[Start { node: Node::Machine("10.9.0.4".into()), since: 0 }]);
    let told: Vec<_> = steps
        .iter()
        .map(|step| (step.from.as_ref().unwrap().name(), step.to.name(), step.depth, step.sure))
        .collect();
    assert_eq!(
        told,
        [
            ("10.9.0.4", "menu01", 0, true),
            ("menu01", "emr01", 1, true),
            ("emr01", "backup01", 2, true),
            ("menu01", "files01", 1, false),
        ]
    );
    let later = walk(&graph, &[Start { node: Node::Machine("10.9.0.4".into()), since: 4 * HOUR }]);
    assert!(later.is_empty(), "{later:?}");
}

#[test]
fn the_same_graph_is_drawn_the_same_whatever_the_order_of_its_events() {
    let events = osaka();
    let reversed: Vec<_> = events.iter().rev().copied().collect();
    let (one, other) = (graph(&events), graph(&reversed));
    let picture = Picture::overview(&one, 40);
    assert_eq!(picture, Picture::overview(&other, 40));
    assert_eq!(picture.draw(), Picture::overview(&other, 40).draw());
    assert_eq!(picture.draw().boxes.len(), picture.nodes.len());
    let few = Picture::overview(&one, 4);
    assert!(few.nodes.len() <= 4 && few.left_out > 0, "{few:?}");
}

#[test]
fn no_two_boxes_of_a_drawing_cover_each_other() {
    let graph = graph(&osaka());
    let steps = walk(&graph, &[Start { node: Node::Machine("10.9.0.4".into()), since: 0 }]);
    for drawing in [Picture::overview(&graph, 40).draw(), Picture::way(&steps, 40).draw()] {
        for (n, a) in drawing.boxes.iter().enumerate() {
            assert!(a.x + a.width <= drawing.width && a.y + a.height <= drawing.height, "{drawing:?}");
            for b in &drawing.boxes[n + 1..] {
                let apart = a.x + a.width <= b.x
                    || b.x + b.width <= a.x
                    || a.y + a.height <= b.y
                    || b.y + b.height <= a.y;
                assert!(apart, "{a:?} {b:?}");
            }
        }
    }
}

#[test]
fn a_timeline_is_one_line_for_each_go() {
    let mut timeline = Timeline::new(Who::Account("Administrator".into()));
    let events = osaka();
    for event in events.iter().rev().chain(&events[1..2]) {
        timeline.take(event, &Rules::default());
    }
    let moments = timeline.finished().moments;
    assert_eq!(moments.iter().map(|moment| moment.count).collect::<Vec<_>>(), [2, 1, 1, 1]);
    assert!(moments.is_sorted_by_key(|moment| moment.first));
}

#[test]
fn many_links_fill_no_memory() {
    let mut graph = Graph::default();
    for n in 0..100_000_u32 {
        let source = std::net::IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        let event = AuthEvent { source: Some(source), ..event(1, "a", "", "h", AuthOutcome::Failure) };
        graph.take(&event, &Rules::default());
    }
    assert!(graph.links().len() <= LINKS_MAX + 1);
    assert!(graph.evicted() > 50_000);
}
