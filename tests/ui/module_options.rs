use ihead::Module;
use ihead::nn::Param;

type Matrix = Param<(usize, usize)>;

#[derive(Module)]
struct Options {
    #[param(frozen)]
    frozen: Matrix,
    #[param(renam = "w")]
    misspelt: Matrix,
    #[buffer(scale = 2)]
    foreign: Matrix,
    #[param(rename = w)]
    not_a_text: Matrix,
    #[param(rename = "layers..weight")]
    empty_part: Matrix,
    #[param(rename = "a", rename = "b")]
    twice: Matrix,
    #[param(aliases = Self::aliases)]
    aliases_of_a_field: Matrix,
}

#[derive(Module)]
#[module(rename = "x")]
struct RenamedType {
    #[param]
    weight: Matrix,
}

#[derive(Module)]
#[module(alias = Self::aliases)]
struct MisspeltAliases {
    #[param]
    weight: Matrix,
}

#[derive(Module)]
#[module(aliases = self.output.aliases("output.weight", "embed.weight"))]
struct CalledAliases {
    #[param]
    weight: Matrix,
}

#[derive(Module)]
#[module(aliases = "Self::aliases")]
struct AliasesAsText {
    #[param]
    weight: Matrix,
}

fn main() {}
