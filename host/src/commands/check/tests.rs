//! Reports and exit codes of `synod check`.

use super::parts::explore_with;
use super::*;
use crate::check::Explorer;
use synod::{Ballot, Envelope, Message, NodeId, Slot};

/// Returns a small world with a forged message, by which node 1 claims a vote that it never cast.
fn forged(network: Network) -> (Scope, Explorer) {
    let ballot = Ballot::new(2, NodeId(0));
    let message = Message::Accepted {
        ballot,
        promised: ballot,
        first: Slot::new(3),
        count: 1,
        low_water: Slot::ZERO,
    };
    let explorer = Explorer::new(Scope {
        network,
        ..Scope::small()
    });
    let explorer = explorer.unwrap();
    let message = Envelope {
        cluster: explorer.start().nodes().next().unwrap().fingerprint(),
        from: NodeId(1),
        to: NodeId(0),
        message,
    };
    (explorer.scope().clone(), explorer.with_in_flight([message]))
}

fn account_of(command: &CheckCommand, explorer: &Explorer, interrupted: bool) -> (String, Exit) {
    let part = command.part.clone().unwrap();
    let done = explore_with(command, &part, explorer, &Watch::default());
    told(command, vec![done], interrupted)
}

fn told(command: &CheckCommand, done: Vec<Done>, interrupted: bool) -> (String, Exit) {
    let account = Account::of(command, done, interrupted);
    let report = Report {
        command,
        account: &account,
        elapsed: Elapsed::ZERO,
    };
    let mut out = Vec::new();
    match command.form {
        OutputFormat::Text => report.text(&mut out),
        OutputFormat::Json => report.json(&mut out),
    }
    (String::from_utf8(out).unwrap(), account.exit())
}

fn checked(command: &CheckCommand) -> (String, Exit) {
    let mut out = Vec::new();
    let exit = reported(command, &AtomicBool::new(false), &mut out);
    (String::from_utf8(out).unwrap(), exit)
}

fn world(scope: Scope) -> CheckCommand {
    CheckCommand::new(Some(Part::World(scope)))
}

#[test]
fn a_violation_is_reported_step_by_step_with_the_command_that_repeats_it() {
    let (scope, explorer) = forged(Network::Once);
    let (text, exit) = account_of(&world(scope), &explorer, false);
    assert_eq!(exit, Exit::Violated);
    assert!(text.starts_with("  1  "), "{text}");
    assert!(
        text.contains("\n\noutcome     violated: decision: NODE_0 announces slot 3 as chosen"),
        "{text}"
    );
    assert!(
        text.contains("\nagain       synod check --nodes 3\n"),
        "{text}"
    );
    assert!(text.lines().count() < 60, "{text}");
}

#[test]
fn a_walk_is_repeated_by_its_seed() {
    let (scope, explorer) = forged(Network::Again);
    let command = CheckCommand {
        form: OutputFormat::Json,
        ..CheckCommand::new(Some(Part::Walks(scope.clone(), 500, 7)))
    };
    let (text, exit) = account_of(&command, &explorer, false);
    assert_eq!(exit, Exit::Violated, "{text}");
    assert!(text.ends_with("}\n") && text.lines().count() == 1);
    assert!(text.contains(r#""outcome":"violated","#), "{text}");
    assert!(text.contains(r#""invariant":"decision","#), "{text}");
    let (_, seed) = text.split_once("--walks 1 --seed ").unwrap();
    let seed: u64 = seed.split(['"', ' ']).next().unwrap().parse().unwrap();
    assert!((7..507).contains(&seed));
    let alone = CheckCommand {
        part: Some(Part::Walks(scope, 1, seed)),
        ..command
    };
    let (again, _) = account_of(&alone, &forged(Network::Again).1, false);
    let schedule = |text: &str| text.split_once("\"schedule\"").unwrap().1.to_owned();
    assert_eq!(schedule(&again), schedule(&text));
}

#[test]
fn complete_and_bounded_explorations_are_distinguished() {
    let small = world(Scope::small());
    let (text, exit) = checked(&small);
    let done = "outcome     done: every state was visited, and no invariant is violated\n";
    assert!(text.starts_with(done), "{text}");
    assert!(text.contains("\nreached     elected "), "{text}");
    assert_eq!(exit, Exit::Done);
    for (cut, why) in [
        (
            CheckCommand {
                states: 1_200,
                ..small.clone()
            },
            "there are more states than --states",
        ),
        (
            CheckCommand {
                depth: Some(14),
                ..small.clone()
            },
            "there are states beyond --depth",
        ),
    ] {
        let (text, exit) = checked(&cut);
        let start = format!("outcome     cut short: {why}, and no invariant is violated\n");
        assert!(text.starts_with(&start), "{text}");
        assert_eq!(exit, Exit::CutShort);
    }
}

#[test]
fn an_interrupt_is_reported_unless_the_check_was_complete() {
    let (scope, _) = forged(Network::Once);
    let command = CheckCommand {
        states: 1_200,
        ..world(scope)
    };
    let explorer = || Explorer::new(Scope::small()).unwrap();
    let (text, exit) = account_of(&command, &explorer(), true);
    assert!(
        text.starts_with("outcome     interrupted: the exploration is incomplete"),
        "{text}"
    );
    assert_eq!(exit, Exit::Interrupted);
    let (_, exit) = account_of(&world(Scope::small()), &explorer(), true);
    assert_eq!(exit, Exit::Done);
}

#[test]
fn a_check_without_expected_events_is_vacuous_and_names_them() {
    let small = Scope::small;
    for (scope, never) in [
        (
            Scope {
                timers: vec![Timer::Learn],
                ..small()
            },
            "no leader was elected, no slot was applied, no client was answered",
        ),
        (
            Scope {
                lost: vec![MessageKind::Accepted],
                ..small()
            },
            "no slot was applied, no client was answered",
        ),
        (
            Scope {
                requests: 0,
                lost: vec![MessageKind::Promise],
                crashes: 1,
                ..small()
            },
            "no leader was elected",
        ),
    ] {
        let (text, exit) = checked(&world(scope));
        let start = format!("outcome     vacuous: {never}, so that the check proves nothing\n");
        assert!(text.starts_with(&start), "{text}");
        assert_eq!(exit, Exit::Vacuous);
    }
    // A check that was cut short before any event occurred is vacuous, too.
    let early = CheckCommand {
        states: 3,
        ..world(small())
    };
    assert_eq!(checked(&early).1, Exit::Vacuous);
    let quiet = Scope {
        timers: vec![Timer::Learn],
        crashes: 0,
        ..Scope::large()
    };
    let walks = CheckCommand::new(Some(Part::Walks(quiet, 20, 0)));
    assert_eq!(checked(&walks).1, Exit::Vacuous);
}

#[test]
fn random_walks_are_counted_and_cover_the_expected_situations() {
    let command = CheckCommand::new(Some(Part::Storms(20, 0)));
    let (text, exit) = checked(&command);
    assert_eq!(exit, Exit::Done, "{text}");
    assert!(text.contains("\nwalks       20\n"), "{text}");
    assert!(
        text.contains("command     synod check --storms 20\n"),
        "{text}"
    );
}

/// The test uses fewer walks than the default. Each situation is covered by at least one part.
#[test]
fn parts_are_reported_one_by_one_and_the_first_violation_decides() {
    let part = |part| CheckCommand::new(Some(part));
    let all = CheckCommand::new(None);
    assert!(all.parts().len() > 5);
    let storms = explored(&all, &[Part::Storms(1, 0)], &[Arc::default()]);
    let (text, exit) = told(&all, storms, false);
    assert_eq!(
        exit,
        Exit::Vacuous,
        "one storm does not come to everything: {text}"
    );
    assert!(text.contains(" storms"), "{text}");
    for (index, of) in all.parts().into_iter().enumerate() {
        let line = part(of.clone()).command();
        let parsed = crate::cli::parse(line.split_whitespace());
        let Ok(crate::cli::Command::Check(parsed)) = parsed else {
            panic!("part {index}: {line}");
        };
        assert_eq!(parsed.part, Some(of), "{line}");
    }
}
