//! Which volumes a list or prune means. Pure.

use hakone_engine_api::{FilterError, Filters};

use crate::{Record, remote::is_remote};

/// Reports whether the list filters let a volume pass; `used` tells whether containers refer to it.
pub(crate) fn passes(filters: &Filters, record: &Record, used: bool) -> Result<bool, FilterError> {
    let dangling = filters.flag("dangling")?;
    Ok(dangling.is_none_or(|dangling| dangling != used)
        && filters.any("driver", |driver| driver == record.driver)
        && filters.any("name", |part| record.name.as_str().contains(part))
        && filters.labels(|key| record.labels.get(key).map(String::as_str)))
}

/// Reports whether a prune may remove a volume that nobody uses: since API 1.42 only anonymous ones unless `all`.
pub(crate) fn prunable(filters: &Filters, record: &Record) -> Result<bool, FilterError> {
    let all = filters.flag("all").map_err(in_gos_words)?.unwrap_or(false);
    let lookup = |key: &str| record.labels.get(key).map(String::as_str);
    // What a plugin keeps is not ours to sweep.
    Ok(!is_remote(&record.driver)
        && (all || record.is_anonymous())
        && filters.labels(lookup)
        && !filters.excluded(lookup))
}

fn in_gos_words(error: FilterError) -> FilterError {
    match error {
        FilterError::Value { key, value } => {
            let value = value.trim_matches(['[', ']']);
            FilterError::Worded(format!(
                "invalid filter '{key}': strconv.ParseBool: parsing {value:?}: invalid syntax"
            ))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Service;
    use hakone_base::Timestamp;

    fn record(name: &str, label: Option<&str>) -> Record {
        Record {
            name: name.parse().unwrap(),
            labels: label
                .map(|l| (l.to_owned(), String::new()))
                .into_iter()
                .collect(),
            options: Default::default(),
            created: Timestamp::from_nanos(1),
            maker: None,
            project: None,
            driver: "local".into(),
            global: false,
            mount_id: None,
        }
    }

    fn filters(text: &str) -> Filters {
        Filters::parse(text, Service::LIST_FILTERS).unwrap()
    }

    #[test]
    fn dangling_means_that_no_container_refers_to_it() {
        let dangling = filters(r#"{"dangling":["true"]}"#);
        assert!(passes(&dangling, &record("v1", None), false).unwrap());
        assert!(!passes(&dangling, &record("v1", None), true).unwrap());
        assert!(passes(&filters(r#"{"dangling":["0"]}"#), &record("v1", None), true).unwrap());
        assert!(passes(&filters(r#"{"dangling":["x"]}"#), &record("v1", None), true).is_err());
    }

    #[test]
    fn a_name_filter_matches_a_part() {
        assert!(passes(&filters(r#"{"name":["at"]}"#), &record("data", None), false).unwrap());
        assert!(!passes(&filters(r#"{"name":["x"]}"#), &record("data", None), false).unwrap());
    }

    #[test]
    fn a_prune_spares_named_volumes_unless_all_is_asked() {
        let anonymous = record("ab", Some(crate::record::ANONYMOUS));
        assert!(prunable(&Filters::default(), &anonymous).unwrap());
        assert!(!prunable(&Filters::default(), &record("data", None)).unwrap());
        let all = Filters::parse(r#"{"all":["1"]}"#, Service::PRUNE_FILTERS).unwrap();
        assert!(prunable(&all, &record("data", None)).unwrap());
    }
}
