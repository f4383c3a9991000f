use crate::search::Search;

/// Searches on a server that holds every rate up to this one; answers with the rates that were tried.
fn search(search: &mut Search, holds: f64) -> Vec<f64> {
    let mut tried = Vec::new();
    while let Some(rate) = search.next() {
        search.tried(rate, rate <= holds);
        tried.push(rate);
    }
    tried
}

#[test]
fn rates_double_until_one_is_too_high_and_then_close_in() {
    let mut peak = Search::from(200.0);

    let tried = search(&mut peak, 700.0);

    let rounded: Vec<_> = tried.iter().map(|rate| rate.round()).collect();
    assert_eq!(rounded, [200.0, 400.0, 800.0, 566.0, 673.0, 734.0, 703.0]);
    let found = peak.found().unwrap();
    assert!(found <= 700.0 && found * 1.05 >= 700.0, "{found}");
}

#[test]
fn rates_are_halved_where_the_first_one_is_too_high() {
    let mut peak = Search::from(200.0);

    let tried = search(&mut peak, 60.0);

    assert_eq!(tried[..3], [200.0, 100.0, 50.0]);
    let found = peak.found().unwrap();
    assert!(found <= 60.0 && found * 1.05 >= 60.0, "{found}");
}

#[test]
fn a_server_that_holds_nothing_ends_the_search() {
    let mut peak = Search::from(8.0);

    let tried = search(&mut peak, 0.0);

    assert_eq!(tried, [8.0, 4.0, 2.0, 1.0]);
    assert_eq!(peak.found(), None);
}
