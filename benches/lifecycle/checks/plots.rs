use serde_json::{Value, json};

use crate::plots::{CPU, LATENCY, Line, Words, around, lines, short, svg, wrapped};

fn point(backends: &str, rate: f64, p99: Option<f64>) -> Value {
    let times = json!({"p50": 1.0, "p99": p99});
    json!({"median": {
        "backends": backends, "rate": rate, "match_ms": times, "server_cpu_s_per_1000": 0.5,
    }})
}

#[test]
fn each_kind_of_backends_has_a_line_of_its_own_in_rising_order_of_load() {
    let points = json!([
        point("embedded", 200.0, Some(4.0)),
        point("real", 200.0, Some(5.0)),
        point("embedded", 50.0, Some(3.0)),
    ]);

    let lines = lines(&points, LATENCY);

    let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
    let expected = [
        "embedded: match p50",
        "embedded: match p99",
        "real: match p50",
        "real: match p99",
    ];
    assert_eq!(names, expected);
    assert_eq!(lines[1].points, [(50.0, 3.0), (200.0, 4.0)]);
    assert!(lines[0].is_dashed && !lines[1].is_dashed);
    assert_eq!(lines[0].colour, lines[1].colour);
    assert_ne!(lines[1].colour, lines[3].colour);
}

#[test]
fn what_is_not_known_is_not_drawn() {
    let points = json!([point("given", 50.0, None)]);

    let names: Vec<_> = lines(&points, CPU).into_iter().map(|it| it.name).collect();

    assert_eq!(lines(&points, LATENCY).len(), 1);
    assert_eq!(names, ["given: server"]);
}

#[test]
fn a_drawing_has_a_white_ground_axes_with_units_a_legend_and_a_caption() {
    let line = Line {
        name: "embedded: match p99".to_owned(),
        colour: 0,
        is_dashed: false,
        points: vec![(50.0, 0.8), (500.0, 12.0)],
    };
    let words = Words {
        title: "Latency over load",
        y: "ms, logarithmic",
        caption: &["measured here".to_owned()],
    };

    for is_log in [true, false] {
        let drawing = svg(&words, std::slice::from_ref(&line), is_log).unwrap();

        for text in [
            "Latency over load",
            "ms, logarithmic",
            "lifecycles per second",
            "embedded: match p99",
            "measured here",
            "#FFFFFF",
        ] {
            assert!(drawing.contains(text), "{text} is missing in {drawing}");
        }
        assert!(drawing.trim_end().ends_with("</svg>"));
    }
}

#[test]
fn one_point_is_drawn_as_well() {
    let points = json!([point("embedded", 50.0, Some(1.0))]);
    let words = Words {
        title: "t",
        y: "ms",
        caption: &[],
    };

    assert!(svg(&words, &lines(&points, LATENCY), true).is_ok());
}

#[test]
fn scales_reach_from_the_least_to_the_greatest() {
    assert_eq!(around([3.0, 1.0, 2.0].into_iter()), Some((1.0, 3.0)));
    assert_eq!(around([].into_iter()), None);
}

#[test]
fn numbers_on_axes_are_short() {
    let texts = [500.0, 0.30000000000000004, 2.5, 0.0].map(short);

    assert_eq!(texts, ["500", "0.3", "2.5", "0"]);
}

#[test]
fn long_captions_are_broken_at_blanks() {
    assert_eq!(
        wrapped("a bb ccc dddddddd e", 6),
        ["a bb", "ccc", "dddddddd", "e"]
    );
}
