use std::time::Duration;

use crate::family::{Process, cpu, cpu_in, family_cpu, members, process_in, run_time_in};

const STAT: &str = "17 (a) b (c)) S 4 17 17 0 -1 4194560 900 0 0 0 123 45 7 8 20 0 5 0 99 1 2";

fn process(pid: u32, parent: u32) -> Process {
    Process {
        pid,
        parent,
        own: Duration::ZERO,
        reaped: Duration::ZERO,
    }
}

#[test]
fn cpu_time_is_found_behind_a_name_with_brackets() {
    assert_eq!(cpu_in(STAT), Some(Duration::from_millis(1_680)));
    assert_eq!(cpu_in("17 (a) S 1"), None);
}

#[test]
fn a_process_tells_its_parent_and_what_its_ended_children_took() {
    let expected = Process {
        pid: 17,
        parent: 4,
        own: Duration::from_millis(1_680),
        reaped: Duration::from_millis(150),
    };

    assert_eq!(process_in(17, STAT), Some(expected));
    assert_eq!(process_in(17, "17 (a) S"), None);
}

#[test]
fn a_family_is_the_process_and_all_that_descend_from_it() {
    let all = [
        process(9, 8),
        process(1, 0),
        process(7, 1),
        process(8, 7),
        process(20, 1),
    ];

    assert_eq!(members(7, &all), [7, 8, 9]);
    assert_eq!(members(20, &all), [20]);
}

#[test]
fn the_time_on_a_processor_is_the_first_figure_of_a_schedstat() {
    assert_eq!(
        run_time_in("1841203 36946 641\n"),
        Some(Duration::from_nanos(1_841_203))
    );
    assert_eq!(run_time_in(""), None);
}

#[test]
fn a_child_that_has_ended_still_counts_for_its_parent() {
    let own = std::process::id();
    let before = family_cpu(own).unwrap();

    let script = "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done";
    let ended = std::process::Command::new("sh")
        .args(["-c", script])
        .status();

    assert!(ended.unwrap().success());
    assert!(family_cpu(own).unwrap() - before >= Duration::from_millis(10));
    assert!(family_cpu(own).unwrap() >= cpu(own).unwrap());
    assert!(family_cpu(u32::MAX).is_err());
}
