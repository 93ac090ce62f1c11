//! A rule: why, for whom, and for which arguments a call is allowed.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    profile::Layer,
    recording::{Evidence, Executable, Phase},
};
use syscalls::{Abi, condition::Conditions};

/// Why, for whom, and for which arguments a call is allowed. Never of no layer, once it is in a
/// profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The layers that want it allowed for any arguments.
    any: BTreeSet<Layer>,
    /// What the others want, those that turned out to be implied too: which they are must not depend
    /// on what came first.
    only: BTreeMap<Conditions, Alternative>,
    abis: BTreeSet<Abi>,
    executables: BTreeSet<Executable>,
    phases: BTreeSet<Phase>,
    /// What it was given, in words.
    given: BTreeSet<String>,
    /// Why its arguments are not restricted, where they are recorded.
    open: BTreeSet<&'static str>,
}

/// Arguments for which a call is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alternative {
    layers: BTreeSet<Layer>,
    when: BTreeSet<Cow<'static, str>>,
}

impl Alternative {
    /// The layers that want it, in the order of output.
    pub fn layers(&self) -> impl Iterator<Item = Layer> {
        self.layers.iter().copied()
    }

    /// The layer that output shows it in: the first that applies.
    pub fn layer(&self) -> Option<Layer> {
        self.layers.first().copied()
    }

    /// What must hold, in words, each to be read after "only when"; they say the same of the arguments,
    /// for different reasons.
    pub fn when(&self) -> impl Iterator<Item = &str> {
        self.when.iter().map(AsRef::as_ref)
    }
}

impl Rule {
    /// The layers, in the order of output.
    pub fn layers(&self) -> impl Iterator<Item = Layer> {
        let only = self.only.values().flat_map(|it| &it.layers);
        let layers: BTreeSet<_> = self.any.iter().chain(only).copied().collect();
        layers.into_iter()
    }

    /// The layer that output shows the call in: the first that applies.
    pub fn layer(&self) -> Option<Layer> {
        self.layers().next()
    }

    /// The arguments for which the call is allowed, when one of these alternatives holds; `None`: any.
    ///
    /// None is implied by another: whatever passes one and a wider one is told with the wider one.
    pub fn only(&self) -> Option<BTreeMap<Conditions, Alternative>> {
        if !self.any.is_empty() {
            return None;
        }
        let mut widest: BTreeMap<_, Alternative> = BTreeMap::new();
        for (conditions, alternative) in &self.only {
            for (wider, its) in &self.only {
                let is_wider = |it: &Conditions| it != wider && wider.implies(it);
                if conditions.implies(wider) && !self.only.keys().any(is_wider) {
                    let shown = widest.entry(*wider).or_insert_with(|| its.clone());
                    shown.layers.extend(&alternative.layers);
                }
            }
        }
        Some(widest)
    }

    /// The ABIs in which it was observed.
    pub fn abis(&self) -> impl Iterator<Item = Abi> {
        self.abis.iter().copied()
    }

    /// The executables that were seen to make it.
    pub fn executables(&self) -> &BTreeSet<Executable> {
        &self.executables
    }

    /// The phases in which it was seen.
    pub fn phases(&self) -> &BTreeSet<Phase> {
        &self.phases
    }

    /// The values that it was seen with, in words, where they are recorded.
    pub fn values(&self) -> &BTreeSet<String> {
        &self.given
    }

    /// Why it is allowed for any arguments although they are recorded.
    pub fn unrestricted_reasons(&self) -> impl Iterator<Item = &'static str> {
        let open = if self.any.is_empty() {
            None
        } else {
            Some(&self.open)
        };
        open.into_iter().flatten().copied()
    }

    /// Whether whatever meets these conditions is let through.
    pub(super) fn allows(&self, conditions: &Conditions) -> bool {
        !self.any.is_empty() || self.only.keys().any(|wider| conditions.implies(wider))
    }

    /// Notes what it was given.
    pub(super) fn given(&mut self, values: String) {
        self.given.insert(values);
    }

    /// Notes why it is not restricted.
    pub(super) fn add_unrestricted_reason(&mut self, reason: &'static str) {
        self.open.insert(reason);
    }

    /// Allows it for any arguments.
    pub(super) fn allow(&mut self, layer: Layer) {
        self.any.insert(layer);
    }

    /// Allows it for these arguments, unless another layer allows it for any. `when` says the same in
    /// words, after "only when".
    pub(super) fn allow_only(
        &mut self,
        layer: Layer,
        conditions: Conditions,
        when: impl Into<Cow<'static, str>>,
    ) {
        let alternative = self.only.entry(conditions).or_default();
        alternative.layers.insert(layer);
        alternative.when.insert(when.into());
    }

    /// Adds where it was seen.
    pub(super) fn seen(&mut self, abi: Abi, who: &Evidence) {
        self.abis.insert(abi);
        self.phases.insert(who.phase);
        self.executables.insert(who.executable.clone());
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use syscalls::condition::Condition;

    fn conditions(list: &[(u32, u64, u64)]) -> Conditions {
        let list: Vec<_> = list
            .iter()
            .map(|(index, mask, value)| Condition {
                index: *index,
                mask: *mask,
                value: *value,
            })
            .collect();
        Conditions::new(&list).unwrap()
    }

    #[test]
    fn one_unconditional_layer_is_enough() {
        let mut rule = Rule::default();
        rule.allow_only(Layer::Observed, conditions(&[(0, 1, 1)]), "it is odd");
        assert_eq!(rule.only().unwrap().len(), 1);
        rule.allow(Layer::Essential);
        assert_eq!(rule.only(), None);
        let layers: Vec<_> = rule.layers().collect();
        assert_eq!(layers, [Layer::Observed, Layer::Essential]);
    }

    #[test]
    fn implied_condition_is_merged_into_the_wider() {
        let odd = conditions(&[(0, 1, 1)]);
        let three = conditions(&[(0, 3, 3)]);
        let other = conditions(&[(1, 1, 1)]);
        let mut rule = Rule::default();
        rule.allow_only(Layer::Observed, three, "it ends in 3");
        rule.allow_only(Layer::RuntimeInit, odd, "it is odd");
        rule.allow_only(Layer::RuntimeInit, other, "the other is odd");
        let only = rule.only().unwrap();
        assert_eq!(
            only.keys().collect::<BTreeSet<_>>(),
            [odd, other].iter().collect()
        );
        let shown = &only[&odd];
        assert_eq!(shown.when().collect::<Vec<_>>(), ["it is odd"]);
        assert_eq!(shown.layer(), Some(Layer::Observed));
        assert_eq!(only[&other].layer(), Some(Layer::RuntimeInit));
    }

    type Asked = (Layer, Conditions);

    fn asked() -> impl Strategy<Value = Vec<Asked>> {
        let list = vec((0_u32..3, 1_u64..4, 0_u64..4), 1..3);
        let conditions = list.prop_filter_map("two on one argument", |list| {
            let list: Vec<_> = list
                .into_iter()
                .map(|(index, mask, value)| Condition {
                    index,
                    mask,
                    value: value & mask,
                })
                .collect();
            Conditions::new(&list).ok()
        });
        vec((select(&Layer::ALL[..]), conditions), 1..8)
    }

    fn rule(asked: &[Asked]) -> Rule {
        let mut rule = Rule::default();
        for (layer, conditions) in asked {
            rule.allow_only(*layer, *conditions, "asked");
        }
        rule
    }

    proptest! {
        #[test]
        fn alternatives_are_complete_and_not_redundant(asked in asked(), a in 0_u64..4, b in 0_u64..4, c in 0_u64..4) {
            let only = rule(&asked).only().unwrap();
            let arguments = [a, b, c, 0, 0, 0];
            prop_assert_eq!(
                asked.iter().any(|(_, it)| it.are_met_by(&arguments)),
                only.keys().any(|it| it.are_met_by(&arguments))
            );
            for one in only.keys() {
                prop_assert!(only.keys().all(|other| one == other || !one.implies(other)));
            }
            let layers: BTreeSet<_> = only.values().flat_map(Alternative::layers).collect();
            prop_assert_eq!(layers, asked.iter().map(|(layer, _)| *layer).collect());
        }

        #[test]
        fn order_of_conditions_does_not_matter((one, other) in asked().prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle()))) {
            prop_assert_eq!(rule(&one).only(), rule(&other).only());
        }
    }
}
