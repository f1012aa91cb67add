//! How well sentences are found in paragraphs written for the purpose, with the traps of each language.

use std::collections::BTreeSet;

use burnformer_data::sentences::{Language, SentenceSplitter};

/// Paragraphs as lists of their sentences.
const ENGLISH: &[&[&str]] = &[
    &[
        "Mr. Harris met Dr. Okafor at 7 a.m. on Monday.",
        "They talked about the U.S. budget for an hour.",
        "Nobody else came.",
    ],
    &["The parcel weighs 3.75 kg.", "It costs $12.50 to send.", "Is that too much?", "I think so!"],
    &[
        "Version 1.2.3 fixes the bug.",
        "Version 2.0 will come in May.",
        "See https://example.org/notes.html for details.",
    ],
    &["J. R. Carter wrote the first chapter.", "The second is by A. B. Lindqvist.", "Both were paid."],
    &["She asked, “Where is the key?”", "“On the table,” he said.", "“It was there all the time.”", "Then they left."],
    &["\"I am tired,\" said Tom.", "\"Let us go home!\"", "Nobody answered him."],
    &["Well... I am not sure.", "We waited… and nothing happened.", "Then the lights went out…", "Everyone screamed."],
    &["Bring fruit, e.g. apples or pears.", "Do not bring nuts, i.e. anything in a shell.", "Thanks!"],
    &["The firm was founded by Miller & Sons Ltd. in 1891.", "It closed in 1931.", "The building still stands."],
    &["Prof. Lang lives in St. Gallen.", "Her office is on Main St. near the station.", "It is small."],
    &["(This is only a remark.)", "The rest follows below (see p. 12).", "Figure 3 shows the result."],
    &["What?!", "You did that?", "No way!!!", "Tell me everything."],
    &["The meeting is on Jan. 5 at noon.", "Please be on time.", "Lunch will be served."],
    &["He lives in Washington D.C. with two cats.", "They are called Salt and Pepper.", "Both are black."],
    &["Open the file main.rs first.", "Then run it.", "The output goes to log.txt in the same folder."],
    &["About 60% of them agreed.", "The other 40% did not.", "No. 5 was never asked."],
    &["I like tea; she likes coffee.", "We both like cake: the more, the better.", "That is all."],
    &["Write to anna.berg@example.com today.", "She will answer soon.", "If not, call her."],
    &["The train leaves at 5 p.m. from platform 2.", "Do not be late.", "There is no other."],
    &["It rained vs. it poured: who cares?", "We stayed in.", "Gen. Moore went out anyway."],
    &["iPhones are not allowed.", "eBay was closed.", "Children laughed."],
    &["We saw lions, tigers, etc. at the zoo.", "The bears were asleep.", "Admission was free."],
];

const CHINESE: &[&[&str]] = &[
    &["今天天气很好。", "我们去公园吧！", "你想去吗？", "我已经准备好了。"],
    &["他说：“我明天不来了。”", "大家都很惊讶。", "为什么呢？"],
    &["老师问：“谁知道答案？”", "没有人回答。", "教室里很安静……", "过了一会儿，小李举起了手。"],
    &["“真的吗？”她问。", "“当然是真的！”他笑着说。", "两个人都笑了。"],
    &["这本书的价格是12.50元。", "那本只要9.9元。", "你买哪一本？"],
    &["版本1.2.3已经发布。", "请访问https://example.org下载。", "有问题请联系我们。"],
    &["「你去哪裡？」他問。", "「我要回家。」她說。", "然後他們走了。"],
    &["他（我的哥哥）住在上海。", "我住在北京（中国的首都）。", "我们常常打电话。"],
    &["苹果、香蕉和梨都卖完了；只剩下西瓜。", "怎么办？", "明天再来吧。"],
    &["什么？！", "你再说一遍！！", "我没听清楚。"],
    &["《红与黑》是一本小说。", "作者是法国人。", "我读过两遍。"],
    &["Tom来了。", "他会说中文。", "我们都叫他汤姆。"],
];

/// Fails if the boundaries within paragraphs are found with an F1 score below `required`.
fn check(language: Language, paragraphs: &[&[&str]], blank: &str, required: f64) {
    let splitter = SentenceSplitter::new(language);
    let ends = |sentences: &[&str]| -> BTreeSet<usize> {
        let lengths = sentences.iter().map(|it| it.chars().filter(|c| !c.is_whitespace()).count());
        let mut ends: BTreeSet<_> =
            lengths.scan(0, |end, length| Some(std::mem::replace(end, *end + length))).collect();
        ends.remove(&0);
        ends
    };
    let (mut right, mut found, mut expected) = (0, 0, 0);
    let mut wrong = String::new();
    for sentences in paragraphs {
        let paragraph = sentences.join(blank);
        let split = splitter.sentences(&paragraph);
        let (split_ends, sentence_ends) = (ends(&split), ends(sentences));
        right += split_ends.intersection(&sentence_ends).count();
        found += split_ends.len();
        expected += sentence_ends.len();
        if split_ends != sentence_ends {
            wrong += &format!("{split:#?}\n");
        }
    }
    let (precision, recall) = (right as f64 / found as f64, right as f64 / expected as f64);
    let f1 = 2.0 * precision * recall / (precision + recall);
    assert!(f1 >= required, "precision {precision:.3}, recall {recall:.3}, F1 {f1:.3}\n{wrong}");
}

#[test]
fn english() {
    assert!(ENGLISH.concat().len() >= 60);
    check(Language::ENGLISH, ENGLISH, " ", 0.97);
}

// A quotation that is a sentence and goes on with "she asked" is taken for two sentences.
#[test]
fn chinese() {
    assert!(CHINESE.concat().len() >= 30);
    check(Language::CHINESE, CHINESE, "", 0.9);
}
