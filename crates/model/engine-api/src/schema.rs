//! What JSON a type takes, as a JSON schema, asked of the type itself.
//!
//! A type that is read tells its reader what it wants: a text, a list, these fields. This reader notes the wish, fulfils it with
//! the least value, and so has seen the whole type in the end; no second description has to be kept in step with the code.
//! What a type wants of no certain kind is left open. Printed in `docs/reference/openapi.json`.

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer as _, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use serde_json::{Map, Value, json};

/// A text that is also a moment, for the fields that are one.
const TEXT: &str = "1970-01-01T00:00:00Z";
/// Deeper than any type of the API; a type within itself ends here.
const DEEPEST: usize = 24;

type Error = de::value::Error;

/// Gives the schema of what `T` is read from; an open one if `T` cannot be read from the least values.
#[must_use]
pub fn of<'de, T: Deserialize<'de>>() -> Value {
    let mut schema = json!({});
    match T::deserialize(Noting {
        schema: &mut schema,
        depth: 0,
    }) {
        Ok(_) => schema,
        Err(_) => json!({}),
    }
}

/// Notes what one value is wanted to be.
struct Noting<'a> {
    schema: &'a mut Value,
    depth: usize,
}

impl Noting<'_> {
    fn is(&mut self, kind: &str) {
        *self.schema = json!({ "type": kind });
    }

    fn below<'b>(&self, schema: &'b mut Value) -> Result<Noting<'b>, Error> {
        match self.depth < DEEPEST {
            true => Ok(Noting {
                schema,
                depth: self.depth + 1,
            }),
            false => Err(de::Error::custom("a type within itself")),
        }
    }
}

macro_rules! plain {
    ($($method:ident $kind:literal $visit:ident $value:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
            self.is($kind);
            visitor.$visit($value)
        })*
    };
}

impl<'de> Deserializer<'de> for Noting<'_> {
    type Error = Error;

    plain! {
        deserialize_bool "boolean" visit_bool false;
        deserialize_i8 "integer" visit_i8 0;
        deserialize_i16 "integer" visit_i16 0;
        deserialize_i32 "integer" visit_i32 0;
        deserialize_i64 "integer" visit_i64 0;
        deserialize_u8 "integer" visit_u8 0;
        deserialize_u16 "integer" visit_u16 0;
        deserialize_u32 "integer" visit_u32 0;
        deserialize_u64 "integer" visit_u64 0;
        deserialize_f32 "number" visit_f32 0.0;
        deserialize_f64 "number" visit_f64 0.0;
        deserialize_char "string" visit_char 'x';
        deserialize_str "string" visit_str TEXT;
        deserialize_string "string" visit_str TEXT;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Noting { schema, depth } = self;
        let value = visitor.visit_some(Noting {
            schema: &mut *schema,
            depth,
        })?;
        if let Some(fields) = schema.as_object_mut().filter(|fields| !fields.is_empty()) {
            fields.insert("nullable".to_owned(), json!(true));
        }
        Ok(value)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut items = json!({});
        let one = One(Some(self.below(&mut items)?));
        let value = visitor.visit_seq(one)?;
        *self.schema = json!({ "type": "array", "items": items });
        Ok(value)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut values = json!({});
        let one = One(Some(self.below(&mut values)?));
        let value = visitor.visit_map(one)?;
        *self.schema = json!({ "type": "object", "additionalProperties": values });
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut properties = Map::new();
        let value = visitor.visit_map(Fields {
            left: fields,
            name: "",
            properties: &mut properties,
            depth: self.depth,
        })?;
        *self.schema = json!({ "type": "object", "properties": properties });
        Ok(value)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.schema = json!({ "type": "string", "enum": variants });
        visitor.visit_enum(First(variants.first().copied().unwrap_or_default()))
    }

    serde::forward_to_deserialize_any! {
        bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// A list or map with one value.
struct One<'a>(Option<Noting<'a>>);

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        self.0
            .take()
            .map(|value| seed.deserialize(value))
            .transpose()
    }
}

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let key = self.0.as_ref().map(|_| Key);
        key.map(|key| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let value = self.0.take();
        seed.deserialize(value.ok_or_else(|| de::Error::custom("a value without its key"))?)
    }
}

/// The key of a map. Go's `map[string]struct{}` is read as a map to an empty one, whose key is of no kind.
struct Key;

impl<'de> Deserializer<'de> for Key {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str("key")
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit_struct newtype_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// All fields of a structure, one after another.
struct Fields<'a> {
    left: &'static [&'static str],
    name: &'static str,
    properties: &'a mut Map<String, Value>,
    depth: usize,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some((first, left)) = self.left.split_first() else {
            return Ok(None);
        };
        (self.name, self.left) = (first, left);
        let key: de::value::StrDeserializer<'_, Error> = self.name.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let mut schema = json!({});
        let noting = Noting {
            schema: &mut schema,
            depth: self.depth + 1,
        };
        if self.depth >= DEEPEST {
            return Err(de::Error::custom("a type within itself"));
        }
        let value = seed.deserialize(noting)?;
        self.properties.insert(self.name.to_owned(), schema);
        Ok(value)
    }
}

/// The first variant of an enumeration, which carries nothing in the API.
struct First(&'static str);

impl<'de> EnumAccess<'de> for First {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let name: de::value::StrDeserializer<'_, Error> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for First {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _seed: S) -> Result<S::Value, Error> {
        Err(de::Error::custom("a variant with a value"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("a variant with values"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        Err(de::Error::custom("a variant with fields"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn a_type_tells_its_fields_and_their_kinds() {
        let schema = of::<wire::ContainerUpdateBody>();
        let fields = &schema["properties"];
        assert_eq!(
            fields["Memory"],
            json!({"type": "integer", "nullable": true})
        );
        assert_eq!(fields["CpusetCpus"]["type"], "string");
        let policy = &fields["RestartPolicy"]["properties"];
        let names = policy["Name"]["enum"].as_array().unwrap();
        assert!(names.contains(&json!("always")), "{names:?}");
    }

    #[test]
    fn lists_maps_and_nested_types_are_seen_through() {
        let schema = of::<wire::ContainerCreateBody>();
        let fields = &schema["properties"];
        assert_eq!(fields["Cmd"]["items"]["type"], "string");
        assert_eq!(fields["Labels"]["additionalProperties"]["type"], "string");
        let mounts = &fields["HostConfig"]["properties"]["Mounts"]["items"];
        assert_eq!(mounts["properties"]["Target"]["type"], "string");
    }

    #[test]
    fn what_takes_anything_is_open() {
        assert_eq!(of::<Value>(), json!({}));
    }
}
