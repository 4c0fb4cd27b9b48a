//! Words of the list that are never issued in a phrase (A6).

/// Words that would insult, frighten or embarrass a child.
#[rustfmt::skip]
pub(super) const OFFENSIVE: [&str; 192] = [
    "anemia", "arousal", "arrest", "arson", "backside", "backstab", "banish", "bazooka",
    "boozy", "buckshot", "bullwhip", "carnage", "casket", "cesspool", "chubby", "crook",
    "defame", "defile", "demeaning", "deport", "depraved", "deranged", "despise", "deviancy",
    "deviant", "deviator", "diabetic", "diabolic", "dictator", "disgrace", "dwarf", "enslave",
    "evil", "exorcism", "explode", "flirt", "fondling", "fondly", "gangrene", "geek", "gloomy",
    "gore", "gory", "groin", "grope", "handcuff", "handgun", "hardcore", "harmful", "hatchling",
    "hatred", "hazing", "henchman", "humiliate", "hypnotic", "idiocy", "impale", "impotence",
    "impotent", "jackknife", "jailbird", "jailbreak", "jailhouse", "jockstrap", "junkie",
    "lustfully", "lustily", "lustiness", "lusty", "mortuary", "mummy", "mutilated", "mutilator",
    "nastily", "naturist", "nemesis", "neurotic", "nutcase", "obsessed", "obsession", "opium",
    "oppressor", "outcast", "overkill", "pagan", "pantyhose", "paralyze", "parasite", "pauper",
    "pelvis", "penknife", "perish", "perjury", "pesky", "poison", "predator", "pregnancy",
    "pregnant", "prison", "profane", "psychic", "punk", "pureblood", "pushover", "rabid",
    "rage", "repulsive", "revenge", "revolver", "riot", "rotten", "rubdown", "savage", "scabby",
    "scam", "scandal", "scorn", "scoundrel", "scrawny", "sedate", "seduce", "shabby", "shame",
    "shank", "shifty", "sinister", "sinner", "skeleton", "skinhead", "skinny", "slacker",
    "slimy", "slobbery", "slouchy", "slug", "slum", "smoked", "smokeless", "smoking", "smother",
    "snort", "spew", "spinster", "squealing", "stank", "starved", "stench", "stinky",
    "strangle", "suffocate", "swear", "tantrum", "tattoo", "thong", "thrash", "throttle",
    "traitor", "trash", "tubby", "twerp", "ultimatum", "unclothed", "undead", "underwear",
    "undress", "ungodly", "unholy", "unisexual", "unlovable", "unloving", "unruly", "unsightly",
    "unstable", "unwashed", "unwed", "unworthy", "uptight", "vagabond", "vagrancy", "vengeful",
    "villain", "violate", "violation", "violator", "viper", "wannabe", "whiny", "wimp", "womb",
    "wrath", "yahoo", "zombie",
];

/// Words that sound exactly like another common word: a phrase must survive being read aloud.
#[rustfmt::skip]
pub(super) const HOMOPHONES: [&str; 58] = [
    "aide", "ascent", "bootie", "breach", "cache", "caddie", "caddy", "cannon", "canon",
    "capital", "carat", "carrot", "cash", "chaste", "chili", "chute", "clause", "coral",
    "cursor", "cymbal", "dock", "duct", "ensure", "fax", "foe", "gopher", "grill", "guise",
    "humorous", "illusion", "jam", "jinx", "lumber", "manor", "marry", "mustard", "overdue",
    "patience", "populace", "pried", "prize", "purr", "rack", "recede", "residence", "rhyme",
    "rigor", "rumor", "savor", "staff", "step", "surplus", "tighten", "tux", "unreal", "very",
    "vice", "whole",
];
