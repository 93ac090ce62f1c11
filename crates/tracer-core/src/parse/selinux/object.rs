//! SelinuxProfile and RawSelinuxProfile of the Security Profiles Operator.

use super::{
    super::{Form, Input, Node, ParseError, object},
    Allow, Selinux, Word, cil,
};

/// A SelinuxProfile: `inherit`, `allow`, and whether it is permissive.
pub(in super::super) fn resource(input: &Input, node: &Node) -> Result<Selinux, ParseError> {
    let spec = object::spec(input, node, "SelinuxProfile")?;
    let name = object::name(node).unwrap_or_default().to_owned();
    let mut read = Selinux::new(Form::SelinuxResource, Some(name), node.span.clone());
    let mode = spec
        .get("mode")
        .filter(|it| it.text() == Some("Permissive"));
    let flag = spec.get("permissive").filter(|it| it.bool() == Some(true));
    read.permissive = mode.or(flag).map(|it| it.span.clone());
    for base in spec.get("inherit").into_iter().flat_map(Node::items) {
        let name = base.get("name").unwrap_or(base);
        let text = name
            .text()
            .ok_or_else(|| input.malformed(name.span.start, "what is inherited has a name"))?;
        read.inherits.push(Word {
            text: text.to_owned(),
            span: name.span.clone(),
        });
    }
    for (target, classes) in spec.get("allow").into_iter().flat_map(Node::pairs) {
        for (class, permissions) in classes.pairs() {
            let names = permissions.items().map(|it| {
                let wrong = || input.malformed(it.span.start, "a permission is a text");
                it.text().map(str::to_owned).ok_or_else(wrong)
            });
            read.rules.push(Allow {
                source: "process".to_owned(),
                target: target.text.clone(),
                class: class.text.clone(),
                permissions: names.collect::<Result<_, _>>()?,
                span: class.span.clone(),
            });
        }
    }
    let known = [
        "mode",
        "permissive",
        "inherit",
        "allow",
        "state",
        "disabled",
    ];
    for (key, _) in spec.pairs().filter(|(key, _)| !known.contains(&&*key.text)) {
        read.unread.push(Word {
            text: key.text.clone(),
            span: key.span.clone(),
        });
    }
    Ok(read)
}

/// A RawSelinuxProfile: the inside of a block, as a text. Where in the text a thing stands is not where it
/// stands in the file, so all of it is at the text.
pub(in super::super) fn raw(input: &Input, node: &Node) -> Result<Selinux, ParseError> {
    let spec = object::spec(input, node, "RawSelinuxProfile")?;
    let name = object::name(node).unwrap_or_default();
    let missing = || input.malformed(spec.span.start, "the RawSelinuxProfile has no policy");
    let policy = spec.get("policy").ok_or_else(missing)?;
    let text = policy.text().ok_or_else(missing)?;
    let wrong = |malformed: ParseError| malformed.within(input, "policy", policy.span.start);
    let inner = Input::new("policy", text.into()).map_err(wrong)?;
    let mut read = cil::inside(&inner, name).map_err(wrong)?;
    let at = policy.span.clone();
    read.span = node.span.clone();
    read.permissive = read.permissive.map(|_| at.clone());
    let words = [&mut read.inherits, &mut read.attributes, &mut read.unread];
    for word in words.into_iter().flatten() {
        word.span = at.clone();
    }
    for rule in &mut read.rules {
        rule.span = at.clone();
    }
    Ok(read)
}
