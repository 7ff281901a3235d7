//! The fields of a configuration, as the derive handles them.
//!
//! A handle takes the functions of a field's type once. Only its constructor asks for the trait, so a field whose type
//! lacks it is one error, not one for each function that reads, writes or describes the field.

use serde_json::Value;

use super::{Bounds, Config, Derived, FieldType, Kind, Problem, Reader, Schema, Setting, Writer};

/// A field with a value.
#[derive(Debug)]
pub struct ValueField<T> {
    key: &'static str,
    kind: fn() -> Kind,
    from_json: fn(&Value) -> Result<T, String>,
    to_json: fn(&T) -> Value,
}

impl<T> ValueField<T> {
    /// The field of `key`.
    // The bound is on the function: on the impl, its message for the user would be lost.
    pub const fn new(key: &'static str) -> Self
    where
        T: FieldType,
    {
        Self { key, kind: T::kind, from_json: T::from_json, to_json: T::to_json }
    }

    /// The setting that the field is, without bounds and conditions.
    pub fn setting(&self, help: &'static str, default: &T) -> Setting {
        let (kind, default) = ((self.kind)(), (self.to_json)(default));
        Setting { key: self.key, help, kind, bounds: Bounds::default(), default, applies: Vec::new() }
    }

    /// The value among those of `reader`, which notes one that does not fit.
    pub fn read(&self, reader: &mut Reader<'_>) -> Option<T> {
        reader.value(self.key, self.from_json)
    }

    /// Writes the value.
    pub fn write(&self, value: &T, writer: &mut Writer) {
        writer.put(self.key, (self.to_json)(value));
    }
}

/// A field with settings of its own, under its key (`group`) or at the same level (`flatten`).
#[derive(Debug)]
pub struct SectionField<C> {
    schema: fn() -> Schema,
    defaults: fn() -> C,
    read: fn(&mut Reader<'_>) -> Option<C>,
    write: fn(&C, &mut Writer),
    validate: fn(&C) -> Vec<Problem>,
    warnings: fn(&C) -> Vec<Problem>,
    derivations: fn(&C) -> Vec<Derived>,
}

impl<C> SectionField<C> {
    /// The field of a section.
    pub const fn new() -> Self
    where
        C: Config,
    {
        let (schema, defaults) = (C::schema, C::defaults);
        let (validate, warnings, derivations) = (C::validate, C::warnings, C::derivations);
        Self { schema, defaults, read: C::read, write: C::write, validate, warnings, derivations }
    }

    /// The section in which nothing is set.
    pub fn defaults(&self) -> C {
        (self.defaults)()
    }

    /// The section's schema, whose defaults are the values of `defaults`.
    pub fn schema(&self, defaults: &C) -> Schema {
        let mut writer = Writer::default();
        (self.write)(defaults, &mut writer);
        (self.schema)().with_defaults(&writer.finish())
    }

    /// The section under `key` among the values of `reader`.
    pub fn read(&self, key: &str, reader: &mut Reader<'_>) -> Option<C> {
        reader.section(key, self.read)
    }

    /// The settings of the section at the level of `reader`.
    pub fn read_flat(&self, reader: &mut Reader<'_>) -> Option<C> {
        (self.read)(reader)
    }

    /// Writes the section under `key`.
    pub fn write(&self, key: &str, section: &C, writer: &mut Writer) {
        let mut inside = Writer::default();
        (self.write)(section, &mut inside);
        writer.put(key, inside.finish());
    }

    /// Writes the settings of the section at the level of `writer`.
    pub fn write_flat(&self, section: &C, writer: &mut Writer) {
        (self.write)(section, writer);
    }

    /// What is wrong with the section's values together.
    pub fn validate(&self, section: &C) -> Vec<Problem> {
        (self.validate)(section)
    }

    /// Which of the section's values have no effect.
    pub fn warnings(&self, section: &C) -> Vec<Problem> {
        (self.warnings)(section)
    }

    /// What follows from the section's values.
    pub fn derivations(&self, section: &C) -> Vec<Derived> {
        (self.derivations)(section)
    }
}

impl<C: Config> Default for SectionField<C> {
    fn default() -> Self {
        Self::new()
    }
}
