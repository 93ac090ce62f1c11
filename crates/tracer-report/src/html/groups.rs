//! Many paths in few groups, by directory, so that a reader can leave out what is of no interest.

/// Fewer paths than this are not divided any further.
const FEW: usize = 120;

/// A directory with fewer paths than this gets no group of its own.
const OWN: usize = 12;

/// Most in one group: a browser lays out no more at once.
const LIMIT: usize = 250;

/// A group: what it is called, and the indices of its paths, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) title: String,
    pub(super) members: Vec<usize>,
}

/// Groups for these paths, each of which is in exactly one.
pub(super) fn groups(paths: &[String]) -> Vec<Group> {
    let mut out = Vec::new();
    divide(paths, (0..paths.len()).collect(), String::new(), &mut out);
    out
}

fn divide(paths: &[String], members: Vec<usize>, mut directory: String, out: &mut Vec<Group>) {
    let path = |member: &usize| paths.get(*member).map_or("", String::as_str);
    // Down to where they part.
    if let Some(first) = members.first().map(path) {
        let common = members.iter().fold(first, |common, one| {
            let same = common.bytes().zip(path(one).bytes());
            let length = same.take_while(|(one, other)| one == other).count();
            // Up to the last slash, so that no character is cut in two.
            let end = common
                .as_bytes()
                .get(..length)
                .and_then(|it| it.iter().rposition(|it| *it == b'/'));
            end.and_then(|end| common.get(..=end)).unwrap_or_default()
        });
        if !common.is_empty() {
            directory = common.to_owned();
        }
    }
    if members.len() <= FEW {
        push(out, directory, members);
        return;
    }
    let mut below: Vec<(String, Vec<usize>)> = Vec::new();
    let mut here = Vec::new();
    for member in members {
        let rest = path(&member).get(directory.len()..).unwrap_or_default();
        match rest.find('/') {
            Some(at) => {
                let name = format!("{directory}{}", rest.get(..=at).unwrap_or_default());
                match below.iter_mut().find(|(of, _)| *of == name) {
                    Some((_, members)) => members.push(member),
                    None => below.push((name, vec![member])),
                }
            }
            None => here.push(member),
        }
    }
    let mut divided = Vec::new();
    for (name, members) in below {
        if members.len() < OWN {
            here.extend(members);
        } else {
            divided.push((name, members));
        }
    }
    here.sort_unstable();
    if !here.is_empty() {
        let title = if divided.is_empty() {
            directory
        } else {
            format!("{directory} and below, where no other group is")
        };
        push(out, title, here);
    }
    for (name, members) in divided {
        divide(paths, members, name, out);
    }
}

fn push(out: &mut Vec<Group>, title: String, members: Vec<usize>) {
    let parts = members.len().div_ceil(LIMIT);
    for (at, part) in members.chunks(LIMIT).enumerate() {
        let title = if parts > 1 {
            format!("{title}, part {} of {parts}", at + 1)
        } else {
            title.clone()
        };
        out.push(Group {
            title,
            members: part.to_vec(),
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_paths_form_one_group() {
        let paths = ["/usr/lib/a", "/usr/lib/x/b"].map(str::to_owned);
        let expected = Group {
            title: "/usr/lib/".to_owned(),
            members: vec![0, 1],
        };
        assert_eq!(groups(&paths), [expected]);
        assert!(groups(&[]).iter().all(|group| group.members.is_empty()));
    }

    #[test]
    fn many_paths_are_split_by_directory() {
        let mut paths: Vec<_> = (0..100).map(|n| format!("/srv/data/{n:03}")).collect();
        paths.extend((0..30).map(|n| format!("/usr/lib/{n:03}")));
        paths.push("/etc/passwd".to_owned());
        let groups = groups(&paths);
        let titles: Vec<_> = groups
            .iter()
            .map(|group| (group.title.as_str(), group.members.len()))
            .collect();
        assert_eq!(
            titles,
            [
                ("/ and below, where no other group is", 1),
                ("/srv/data/", 100),
                ("/usr/lib/", 30)
            ]
        );
    }

    #[test]
    fn very_deep_paths_are_grouped_in_a_moment() {
        let begin = std::time::Instant::now();
        let deep = "/d".repeat(6000);
        let paths: Vec<_> = (0..FEW * 2).map(|n| format!("{deep}/{n}")).collect();
        let found = groups(&paths);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].title, format!("{deep}/"));
        assert!(begin.elapsed() < std::time::Duration::from_secs(2));
    }

    proptest! {
        #[test]
        fn each_path_is_in_one_group(paths in proptest::collection::vec("(/[ab]{1,2}){0,4}/?", 0..600)) {
            let mut members: Vec<_> = groups(&paths).into_iter().flat_map(|it| it.members).collect();
            members.sort_unstable();
            prop_assert_eq!(members, (0..paths.len()).collect::<Vec<_>>());
        }
    }
}
