//! How far discovery has come, for a line on the terminal.

use tracer_core::recording::{
    Discovery,
    estimate::{Estimate, Incidence, Unseen},
};

/// How rare the calls were, and how many are unseen: `2 in only one of 3 instances`. Empty when there is nothing to
/// say, since one instance tells neither.
pub fn discovery(discovery: &Discovery) -> String {
    rarity(discovery.in_one, discovery.instances, &discovery.unseen)
}

/// The same while recording.
pub fn incidence(incidence: &Incidence) -> String {
    rarity(
        incidence.seen_in(1),
        incidence.instances(),
        &incidence.estimate(),
    )
}

fn rarity(in_one: u64, instances: u64, unseen: &Estimate) -> String {
    let rare = format!("{in_one} in only one of {instances} instances");
    match unseen {
        Estimate::Chao2(Unseen { calls, low, high }) => {
            format!("{rare}, about {calls} unseen (95 %: {low} to {high})")
        }
        Estimate::Refused(_) if instances > 1 => rare,
        Estimate::Refused(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use tracer_core::recording::estimate::Refusal;

    use super::*;

    #[test]
    fn one_instance_says_nothing_about_rarity() {
        let refused = Estimate::Refused(Refusal::TooFewInstances {
            instances: 1,
            needed: 5,
        });
        assert_eq!(rarity(7, 1, &refused), "");
        assert_eq!(rarity(2, 3, &refused), "2 in only one of 3 instances");
        let unseen = Unseen {
            calls: 4,
            low: 1,
            high: 9,
        };
        assert_eq!(
            rarity(3, 5, &Estimate::Chao2(unseen)),
            "3 in only one of 5 instances, about 4 unseen (95 %: 1 to 9)"
        );
    }
}
