//! Whether bytes whose encoding nobody has declared are GB18030.
//!
//! GB18030 has a character for most pairs of bytes, so that text in almost any encoding can be read as
//! Chinese. A wrong character that is loaded is worse than a row that is rejected: a file is GB18030 only
//! where a detector of encodings and the characters themselves agree on it.

use std::{collections::HashSet, ops::Range, sync::LazyLock};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{DecoderResult, GB18030, GBK};

/// What names of people, companies and places and headers in Chinese mostly consist of.
///
/// Text that is Chinese only by mistake has characters of all kinds, most of them rare.
const USUAL: &str = "\
    一二三四五六七八九十百千万亿零年月日时分秒的是在不有和人我他这个上中下大小来到国地出会可也你对生能而\
    子那得于着里后自之过发作用道行所然家事成方多经么去法学如都同现当没动面起看定天还进好部其些主样理心本\
    前开但因只从想实者意她外间最全民机电与新长高把手力此各体老将明西东南北左右内水火山石田江河湖海林木金\
    银铜铁土风云雨雪春夏秋冬王李张刘陈杨赵黄周吴徐孙胡朱何郭马罗梁宋郑谢韩唐冯董萧程曹袁邓许傅沈曾彭吕苏\
    卢蒋蔡贾丁魏薛叶阎余潘杜戴钟汪任姜范姚谭廖邹熊陆郝孔白崔康毛邱秦史顾侯邵孟龙段雷钱汤尹黎易常武乔贺赖\
    龚文庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛伍韦申尤毕聂丛焦向柳邢路岳齐沿梅莫庄辛管祝涂谷祁耿牟卜詹\
    关苗凌费纪靳盛童欧甄项伟芳娜敏静丽强磊军洋勇艳杰娟涛超秀霞平刚桂英华玉萍红娥玲芬燕彩晓琴莲真环荣爱妹\
    香莺媛瑞凡佳嘉琼勤珍贞莉凤洁琳素琪倩婷宁欣飘育馨瑶怡婵雁蓓仪荷丹蓉眉君蕊薇菁梦岚苑婕宇浩鹏飞志建庆辉\
    立俊峰斌博睿轩泽晨旭阳帆凯亮健毅诚信义良友贵福禄寿喜祥顺昌兴隆茂富裕利丰源泰恒达通宏鸿远景元亨吉限公\
    司集团股份责企业商贸店铺厂社院局处科技术网络息数据软件系统讯互联智算计工设备械制造材料化医药物食品餐\
    饮服装鞋帽纺织具居筑饰房产流运输快递仓储供应链口投资融证券保险基咨询务传媒广告影视旅游酒教培训校美容\
    妆农牧渔汽车配专营旗舰直代销售批货市场户玩母婴宠图书办艺礼珠宝首表眼镜箱包皮革茶糖果蔬菜米油粮京沪津\
    渝冀晋辽黑浙皖闽赣豫鄂湘粤川蜀滇陕甘青蒙藏疆港澳台湾州深圳杭汉重厦门济岛连哈尔滨合肥昆太原乌呼特拉萨\
    莞佛惠汕绍无锡扬省区县镇乡村街号楼座层室栋单账帐名称编码类型币种额负卡预戳支付款收入细状态注期创更退\
    充值消交结清扣姓身址邮客员测试示例未知总量价税率点比角镑加拿淘拼抖音微阿巴腾度字节跳招光浦卖滴";

/// Traditional forms of them, which GB18030 has as well.
const USUAL_TRADITIONAL: &str = "\
    張劉陳楊趙黃吳孫馬羅鄭謝韓馮蕭鄧許蘇盧蔣賈葉閻鄒陸顧龍萬錢湯喬賀賴龔龐蘭顏嚴蘆魯韋畢聶叢齊莊關費紀歐\
    項國華東電訊發貿際業資網絡軟體數據機設備製藥醫學會員廠團責務農漁環車銷場戶圖書藝禮寶飾鐘錶鏡糧廣臺灣\
    門慶漢濟島連爾濱烏無錫揚區縣鎮鄉號樓層棟單帳賬稱編碼類幣種餘額負預統計時間狀態註創證聯係郵點鎊陽飛軍\
    剛偉麗潔鳳紅榮愛雲蓮貞輝達興豐遠義貴壽開實長";

static USUAL_CHARACTERS: LazyLock<HashSet<char>> =
    LazyLock::new(|| USUAL.chars().chain(USUAL_TRADITIONAL.chars()).collect());

/// A run of bytes beyond ASCII is looked at in blocks of this size.
pub(super) const LONGEST_RUN: usize = 64 << 10;

/// Whether text that starts with a non-ASCII byte is GB18030 rather than (possibly damaged) UTF-8 or anything
/// else; `before` is the byte before it.
pub(super) fn is_gb18030(before: u8, sample: &[u8]) -> bool {
    !is_damaged_utf8(sample) && is_usual_chinese(sample) && {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(&[before], false);
        detector.feed(sample, false);
        // No country is given: with `cn` it takes any pair of bytes for Chinese.
        detector.guess(None, Utf8Detection::Allow) == GBK
    }
}

/// Whether text that a response calls GB18030 is UTF-8 all the same, because it holds Chinese in UTF-8.
///
/// `陆伟` in GBK is valid UTF-8, too: a run speaks for UTF-8 only with a Chinese character in it, which has three
/// bytes there, and not where its characters in GB18030 are usual ones. Most runs that speak must speak for it.
pub(super) fn is_chinese_utf8(before: u8, sample: &[u8]) -> bool {
    let (mut utf8_runs, mut other_runs) = (0_usize, 0_usize);
    let mut at = 0;
    for run in sample.split(u8::is_ascii) {
        at += run.len() + 1;
        match std::str::from_utf8(run) {
            _ if is_usual_chinese(run) => other_runs += 1,
            Ok(text) => utf8_runs += usize::from(text.chars().any(is_ideograph)),
            // The sample may cut its last character.
            Err(error) if error.error_len().is_none() && at > sample.len() => {}
            Err(_) => other_runs += 1,
        }
    }
    utf8_runs > other_runs && !is_gb18030(before, sample)
}

fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}')
}

/// Whether UTF-8 speaks for itself: in most runs of non-ASCII bytes, or in whole characters around the faults.
fn is_damaged_utf8(sample: &[u8]) -> bool {
    let (mut utf8_runs, mut other_runs) = (0_usize, 0_usize);
    let mut runs = sample
        .split(u8::is_ascii)
        .filter(|run| !run.is_empty())
        .peekable();
    while let Some(run) = runs.next() {
        match std::str::from_utf8(run) {
            Ok(_) => utf8_runs += 1,
            // The sample may cut its last character.
            Err(error)
                if error.error_len().is_none()
                    && runs.peek().is_none()
                    && !sample[sample.len() - 1].is_ascii() =>
            {
                utf8_runs += 1;
            }
            Err(_) => other_runs += 1,
        }
    }
    // A character cut in two makes two runs of one: damaged UTF-8 still holds more whole characters than faults.
    let (mut characters, mut faults) = (0_usize, 0_usize);
    for chunk in sample.utf8_chunks() {
        characters += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        faults += usize::from(!chunk.invalid().is_empty());
    }
    other_runs <= utf8_runs || characters >= faults
}

/// Whether all of it can be GB18030, and more than three in five characters are usual ones, two at least.
fn is_usual_chinese(sample: &[u8]) -> bool {
    let mut decoder = GB18030.new_decoder_without_bom_handling();
    let Some(capacity) = decoder.max_utf8_buffer_length_without_replacement(sample.len()) else {
        return false;
    };
    let mut text = vec![0; capacity];
    let (result, _, written) = decoder.decode_to_utf8_without_replacement(sample, &mut text, false);
    let Ok(text) = std::str::from_utf8(&text[..written]) else {
        return false;
    };
    if result != DecoderResult::InputEmpty {
        return false;
    }
    let (mut known, mut other) = (0_usize, 0_usize);
    for character in text.chars() {
        match character {
            '\0'..='\x7F' => {}
            // Punctuation and full-width forms are no evidence.
            '·' | '\u{2010}'..='\u{203B}' | '\u{3000}'..='\u{3020}' | '\u{FF00}'..='\u{FF5E}' => {}
            _ if USUAL_CHARACTERS.contains(&character) => known += 1,
            _ => other += 1,
        }
    }
    known >= 2 && known * 2 > other * 3
}

/// Which runs of non-ASCII bytes in text taken for GB18030 are UTF-8 after all; `before` is the byte before it.
///
/// A file may begin in one encoding and go on in the other. What counts is a run that is UTF-8 and has two or
/// more characters of three bytes, or is one character inside a Latin word (`Crée`): Chinese in GB18030 would
/// have to consist of rare characters of certain rows alone to look like this.
pub(super) fn utf8_runs(before: u8, bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let from = at + bytes[at..].iter().position(|byte| !byte.is_ascii())?;
            let length = bytes[from..]
                .iter()
                .position(u8::is_ascii)
                .unwrap_or(bytes.len() - from)
                .min(LONGEST_RUN);
            at = from + length;
            let before = from.checked_sub(1).map_or(before, |index| bytes[index]);
            let is_in_word = [Some(&before), bytes.get(at)]
                .into_iter()
                .all(|byte| byte.is_some_and(u8::is_ascii_alphabetic));
            if is_utf8(&bytes[from..at], is_in_word) {
                return Some(from..at);
            }
        }
    })
}

fn is_utf8(run: &[u8], is_in_word: bool) -> bool {
    // Most runs of GB18030 fail at their first character.
    std::str::from_utf8(run).is_ok_and(|text| {
        (is_in_word && text.chars().count() == 1)
            || text.chars().filter(|c| c.len_utf8() >= 3).nth(1).is_some()
    })
}
