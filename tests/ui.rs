//! Wrong uses of the derives, each of which must not compile, with the message beside it; and programs that must run.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    cases.pass("tests/ui/pass/*.rs");
}
