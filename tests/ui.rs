//! Wrong uses of the derives: each must not compile, with the message beside it.

#[test]
fn ui() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
