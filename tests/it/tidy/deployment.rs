//! The files that run the image: every variable is known, nothing is public, and no password that
//! everybody knows gets out of dev. They are read line by line, as they are written.

use super::*;

/// What only the containers next to the server need.
const OF_COMPOSE_ALONE: &[&str] = &["POSTGRES_PASSWORD", "REDIS_PASSWORD", "RABBITMQ_PASSWORD"];
/// The password that everybody knows.
const KNOWN_PASSWORD: &str = ":-dev-only}";

fn file(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|problem| panic!("{name}: {problem}"))
}

#[test]
fn the_example_of_env_lists_every_variable_with_its_default() {
    let example = file(".env.example");
    let lines = example.lines().filter_map(|line| line.strip_prefix('#'));
    let listed: Vec<_> = lines
        .filter(|line| line.starts_with(char::is_uppercase))
        .collect();

    let of_server = VARIABLES
        .iter()
        .map(|it| format!("{}={}", it.name, it.default));
    let of_compose = OF_COMPOSE_ALONE.iter().map(|name| format!("{name}="));
    let expected: Vec<_> = of_server.chain(of_compose).collect();
    assert_eq!(listed, expected);
    let set = example
        .lines()
        .find(|line| !line.starts_with('#') && !line.is_empty());
    assert_eq!(set, None, "a copy of it changes nothing");
}

#[test]
fn compose_publishes_ports_on_this_machine_only() {
    for name in ["compose.yaml", "compose.production.yaml"] {
        let text = file(name);
        let items = lists(&text, "ports:");
        let public: Vec<_> = items
            .filter(|item| !item.starts_with("- \"127.0.0.1:"))
            .collect();
        assert_eq!(public, [""; 0], "{name}");
        assert!(!text.contains("network_mode"), "{name}");
    }
    assert_eq!(lists(&file("compose.yaml"), "ports:").count(), 1);
}

#[test]
fn production_replaces_every_password_that_everybody_knows() {
    let (base, overlay) = (file("compose.yaml"), file("compose.production.yaml"));

    let known = base.lines().filter(|line| line.contains(KNOWN_PASSWORD));
    let known: Vec<_> = known.map(str::trim).collect();
    let replaced = |line: &&str| {
        let demanded = line.replace(KNOWN_PASSWORD, ":?set it in .env}");
        overlay.lines().any(|other| other.trim() == demanded)
    };

    assert!(known.len() >= 6, "{known:?}");
    let kept: Vec<_> = known.iter().filter(|line| !replaced(line)).collect();
    assert_eq!(kept, [&""; 0]);
    assert!(!overlay.contains(":-"), "production has no defaults");
    for name in ["AUTH_ACCESS_SECRET", "ADMIN_TOKEN", "QUESTION_SERVICE_URL"] {
        let demanded = format!("{name}: ${{{name}:?set it in .env}}");
        assert!(overlay.contains(&demanded), "{demanded}");
    }
}

#[test]
fn the_image_knows_no_secret_and_refuses_to_start_unconfigured() {
    let recipe = file("Dockerfile");
    let lines: Vec<_> = recipe.lines().map(str::trim).collect();

    for needed in ["ENV ENV=production", "STOPSIGNAL SIGTERM", "EXPOSE 8002"] {
        assert!(lines.contains(&needed), "{needed}");
    }
    for secret in ["SECRET", "PASSWORD", "TOKEN", "_URL"] {
        let set = lines
            .iter()
            .find(|line| !line.starts_with('#') && line.contains(secret));
        assert_eq!(set, None);
    }
}

#[test]
fn what_runs_in_a_container_has_no_more_rights_than_it_needs() {
    let (base, overlay) = (file("compose.yaml"), file("compose.production.yaml"));
    let services = base.split_once("\nservices:\n").expect("it has services").1;
    let services = services.split("\nvolumes:\n").next().unwrap_or_default();
    let names: Vec<_> = services
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':'))
        .collect();

    assert_eq!(
        names,
        ["  server:", "  postgres:", "  redis:", "  rabbitmq:"]
    );
    let unprivileged =
        lists(services, "security_opt:").filter(|it| *it == "- no-new-privileges:true");
    assert_eq!(unprivileged.count(), names.len());
    let server = services.split("\n  postgres:\n").next().unwrap_or_default();
    assert!(server.contains("\n    read_only: true\n"));
    assert_eq!(lists(server, "cap_drop:").collect::<Vec<_>>(), ["- ALL"]);
    for text in [&base, &overlay] {
        for more in [
            "privileged: true",
            "cap_add",
            "read_only: false",
            "user:",
            "pid:",
            "ipc:",
            "docker.sock",
            "devices:",
        ] {
            assert!(!text.contains(more), "{more}");
        }
    }
    let recipe = file("Dockerfile");
    let accounts: Vec<_> = recipe
        .lines()
        .filter(|line| line.starts_with("USER "))
        .collect();
    assert_eq!(
        accounts,
        ["USER 10001:10001"],
        "a number, so that clusters can see that it is not root"
    );
    for fetched in ["ADD ", "curl", "wget", "chmod"] {
        assert!(!recipe.contains(fetched), "{fetched}");
    }
}

#[test]
fn release_builds_check_overflows_and_this_code_is_safe() {
    let manifest = file("Cargo.toml");
    let profile = |name: &str| {
        let begin = format!("[profile.{name}]\n");
        let rest = manifest.split_once(&begin).expect("it is there").1;
        rest.split("\n[").next().unwrap_or_default().to_owned()
    };

    assert!(profile("release").contains("overflow-checks = true"));
    let dist = profile("dist");
    assert!(dist.contains("inherits = \"release\"") && !dist.contains("overflow-checks"));
    assert!(
        !manifest.contains("panic = \"abort\""),
        "a panic in a handler ends one request only"
    );
    assert!(manifest.contains("[workspace.lints.rust]\nunsafe_code = \"forbid\""));
    let root = ("the root".to_owned(), manifest);
    for (name, manifest) in crates().into_iter().chain([root]) {
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{name}");
    }
}

#[test]
fn the_image_is_built_from_every_crate() {
    let recipe = file("Dockerfile");
    for (name, _) in crates() {
        let line = format!("COPY src/{name}/Cargo.toml src/{name}/\n");
        assert!(recipe.contains(&line), "{name}");
    }
}

/// The name and the manifest of every crate in a folder of `src`.
fn crates() -> Vec<(String, String)> {
    let folders = fs::read_dir(root().join("src")).expect("src/ is readable");
    let found = folders.filter_map(|folder| {
        let folder = folder.expect("src/ is readable");
        let manifest = fs::read_to_string(folder.path().join("Cargo.toml")).ok()?;
        Some((folder.file_name().to_string_lossy().into_owned(), manifest))
    });
    let found: Vec<_> = found.collect();
    assert!(found.len() > 1, "{found:?}");
    found
}

/// The items of every list under `key`.
fn lists<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    let mut inside = false;
    text.lines().map(str::trim).filter(move |line| {
        inside = *line == key || inside && (line.starts_with("- ") || line.starts_with('#'));
        inside && line.starts_with("- ")
    })
}
