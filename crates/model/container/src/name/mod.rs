//! Names for containers that nobody named: an adjective and a surname. Pure; entropy is the caller's.

mod words;

use hakone_base::ContainerName;

use words::{ADJECTIVES, SURNAMES};

/// Makes the name that `entropy` chooses; a number is added from the `attempt` on at which pairs are likely all taken.
pub fn generate(entropy: [u8; 8], attempt: u32) -> Option<ContainerName> {
    let [a, b, c, d, e, f, g, h] = entropy;
    let adjective = pick(&ADJECTIVES, u32::from_be_bytes([a, b, c, d]))?;
    let surname = pick(&SURNAMES, u32::from_be_bytes([e, f, g, h]))?;
    let name = match attempt {
        0..5 => format!("{adjective}_{surname}"),
        5.. => format!("{adjective}_{surname}{}{}", h % 10, attempt),
    };
    name.parse().ok()
}

fn pick(words: &[&'static str], entropy: u32) -> Option<&'static str> {
    let index = usize::try_from(entropy).ok()?.checked_rem(words.len())?;
    words.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_name_is_an_adjective_and_a_surname() {
        let name = generate([0; 8], 0).unwrap();
        assert_eq!(name.as_str(), format!("{}_{}", ADJECTIVES[0], SURNAMES[0]));
        assert_ne!(generate([0; 8], 5).unwrap(), name);
    }

    #[test]
    fn every_pair_of_words_is_a_name() {
        for (words, entropy) in [(&ADJECTIVES[..], 0_usize), (&SURNAMES[..], 4)] {
            for index in 0..u8::try_from(words.len()).unwrap() {
                let mut bytes = [0; 8];
                bytes[entropy + 3] = index;
                assert!(generate(bytes, 0).is_some(), "{index}");
            }
        }
    }
}
