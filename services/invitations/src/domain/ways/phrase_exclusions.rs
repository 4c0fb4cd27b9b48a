//! Words of the list that are never issued in a phrase (A6).

/// Words that would insult, frighten or embarrass a child.
#[rustfmt::skip]
pub(super) const OFFENSIVE: [&str; 218] = [
    "anemia", "arousal", "arrest", "arson", "backside", "backstab", "banish", "bazooka",
    "bonehead", "boozy", "buckshot", "bullwhip", "bully", "carnage", "casket", "cesspool",
    "chubby", "crazed", "crook", "dagger", "defame", "defile", "demeaning", "deport",
    "depraved", "deranged", "despise", "deviancy", "deviant", "deviator", "diabetic",
    "diabolic", "dictator", "disgrace", "dork", "dropout", "dwarf", "enslave", "evil",
    "excretion", "exorcism", "explode", "failing", "feeble", "flirt", "fondling", "fondly",
    "gangrene", "geek", "gloomy", "glutton", "goon", "gore", "gory", "groin", "grope",
    "gullible", "handcuff", "handgun", "hangover", "hardcore", "harmful", "hatchling", "hatred",
    "hazing", "henchman", "humiliate", "hunchback", "hypnotic", "idiocy", "imbecile", "impale",
    "impotence", "impotent", "jackknife", "jailbird", "jailbreak", "jailhouse", "jockstrap",
    "junkie", "lazy", "lustfully", "lustily", "lustiness", "lusty", "mangy", "mortuary",
    "mummy", "mutilated", "mutilator", "nastily", "naturist", "nemesis", "nerd", "neurotic",
    "nutcase", "oaf", "obsessed", "obsession", "opium", "oppressor", "outcast", "overkill",
    "pagan", "pantyhose", "paralyze", "parasite", "pauper", "pelvis", "penknife", "perish",
    "perjury", "pesky", "poison", "predator", "pregnancy", "pregnant", "prison", "profane",
    "psychic", "punk", "pureblood", "pushover", "rabid", "rage", "repulsive", "revenge",
    "revolver", "riot", "rotten", "rubdown", "runt", "savage", "scabby", "scam", "scandal",
    "scorn", "scoundrel", "scrawny", "sedate", "seduce", "shabby", "shame", "shank", "shifty",
    "sinister", "sinner", "skeleton", "skinhead", "skinny", "slacker", "slimy", "slobbery",
    "slouchy", "slug", "slum", "smoked", "smokeless", "smoking", "smother", "snort", "spew",
    "spinster", "squealing", "stank", "starved", "stench", "stingy", "stinky", "strangle",
    "suffocate", "swear", "tantrum", "tattoo", "thieving", "thong", "thrash", "throttle",
    "traitor", "trash", "tubby", "twerp", "ultimatum", "unclothed", "undead", "underwear",
    "undesired", "undress", "ungodly", "unholy", "unisexual", "unkempt", "unlovable",
    "unloving", "unpopular", "unruly", "unsightly", "unstable", "unwanted", "unwashed", "unwed",
    "unworthy", "uptight", "vagabond", "vagrancy", "vengeful", "villain", "violate",
    "violation", "violator", "viper", "wannabe", "whiny", "wimp", "womb", "wrath", "yahoo",
    "zombie",
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
