//! Just enough of RFC 3339 to read the server's times.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, now.
pub fn unix_now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970")
        .as_secs_f64()
}

/// Reads `2025-11-10T06:40:23Z`, with or without a fraction of the second; fails on anything else.
#[track_caller]
pub fn unix_seconds(text: &str) -> f64 {
    read(text).unwrap_or_else(|| panic!("`{text}` is not like 2025-11-10T06:40:23Z"))
}

fn read(text: &str) -> Option<f64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hours, minutes, seconds] = numbers(whole, ':')?;
    if date.len() != 10 || whole.len() != 8 || !(1..=12).contains(&month) {
        return None;
    }

    let days = days_before(year, month) + day - 1;
    let fraction: f64 = format!("0.{fraction}").parse().ok()?;
    let seconds = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
    Some(seconds as f64 + fraction)
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let parts: Option<Vec<i64>> = text
        .split(separator)
        .map(|part| part.parse().ok())
        .collect();
    parts?.try_into().ok()
}

/// Days from 1970-01-01 to the first of the month.
fn days_before(year: i64, month: i64) -> i64 {
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let years: i64 = (1970..year).map(|y| if leap(y) { 366 } else { 365 }).sum();
    let february = if leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: i64 = lengths.iter().take(month as usize - 1).sum();
    years + months
}

#[test]
fn times_are_read_to_the_fraction() {
    assert_eq!(unix_seconds("1970-01-02T00:00:01Z"), 86_401.0);
    assert_eq!(unix_seconds("2025-11-10T06:40:23.250Z"), 1_762_756_823.25);
}
