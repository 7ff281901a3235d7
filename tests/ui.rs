//! Wrong uses of the derives, each of which must not compile, with the message beside it.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/*.rs");
}
