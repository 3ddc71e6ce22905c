use crate::support::Test;

#[test]
fn the_help_names_every_command_and_exit_code() {
    Test::new()
        .arg("--help")
        .stdout_line("demo Run small programs that show what antiphon does")
        .stdout_line("ls List spaces, or what is in one")
        .stdout_line("3 done but for what standard error names")
        .success();
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for args in [
        "",
        "sing",
        "ls a b",
        "show",
        "show a",
        "rm",
        "demo words",
        "demo words . --workers 0",
        "demo words . --scope moon",
        "ls threads:a",
        "ls moon:a",
    ] {
        Test::new().args(args).code(2);
    }
}

#[test]
fn who_asks_for_a_threads_space_is_told_why_not() {
    Test::new().args("ls threads:a").stderr_has("cannot be seen from outside").code(2);
}

#[test]
fn who_names_no_object_is_told_how() {
    Test::new().args("show orders").stderr_has("antiphon ls orders lists them").code(2);
    Test::new().args("ls orders/a").stderr_has("antiphon show SPACE/NAME").code(1);
}
