"""Names of people, streets and firms, put together from lists: any likeness to a real one is chance."""

import numpy as np

from demo.numbers import Flags, Texts, joined

SURNAMES = list(
    "王李张刘陈杨黄赵周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文"
)
SURNAMES += ["欧阳", "司马", "上官", "诸葛", "皇甫", "尉迟"]
GIVEN_MEN = list("伟强磊军勇杰涛明超刚平辉鹏华飞鑫波斌宇浩凯健俊帆旭宁龙林阳建国志海文博天翔晨睿轩泽楠")
GIVEN_WOMEN = list("芳娜敏静丽艳娟霞秀燕玲桂英红玉萍婷雪梅琳洁莉颖倩云莹欣怡佳慧岚蓉薇晶悦涵梦瑶璐妍琪")
RARE = ["䶮", "㛃", "𬭎", "𠅤"]
MINORITY_GIVEN = ["阿依古丽", "阿迪力", "买合木提", "古丽娜尔", "艾力", "迪丽拜尔", "卓玛", "次仁", "帕提古丽", "吐尔逊"]
MINORITY_FAMILY = ["买买提", "吐尔逊", "艾山", "热合曼", "阿不都", "库尔班", "达瓦", "扎西"]
FOREIGN = ["ANNA SAMPLE", "JOHN EXAMPLE", "MARIA MUSTER", "PIERRE EXEMPLE", "YUKI MIHON"]
STREETS = [
    first + second
    for first in (
        "青云",
        "文汇",
        "望江",
        "长乐",
        "清风",
        "明月",
        "紫荆",
        "梧桐",
        "银杏",
        "翠竹",
        "碧波",
        "锦绣",
        "朝晖",
        "听涛",
        "云栖",
        "石榴",
    )
    for second in ("路", "街", "大道", "巷")
]
TOWNS = ["青云街道", "长乐街道", "望江街道", "文汇街道", "梧桐街道", "清风镇", "碧波镇", "石榴乡"]
FIRM_NAMES = [
    first + second
    for first in "启云恒瑞博汇嘉泰鼎盛联信华诚锐凌卓越天海星源"
    for second in ("源", "达", "辰", "泽", "川", "禾", "腾", "悦", "翼", "盟", "晟", "麟")
]


def people_names(draw: np.random.Generator, women: Flags, ethnic: Texts) -> Texts:
    """Return one name each: Han names of two or three characters, some rare; minority names joined by ``·`` (U+00B7)."""
    count = len(women)
    weights = 1 / np.arange(3, len(SURNAMES) + 3)
    surnames = draw.choice(SURNAMES, count, p=weights / weights.sum())
    given = np.where(women, draw.choice(GIVEN_WOMEN, count), draw.choice(GIVEN_MEN, count))
    second = np.where(women, draw.choice(GIVEN_WOMEN, count), draw.choice(GIVEN_MEN, count))
    second = np.where(draw.random(count) < 0.25, "", second)
    second = np.where(draw.random(count) < 0.004, draw.choice(RARE, count), second)
    minority = joined(draw.choice(MINORITY_GIVEN, count), "·", draw.choice(MINORITY_FAMILY, count))
    return np.where(np.isin(ethnic, ["04", "05"]), minority, joined(surnames, given, second))


def firm_names(draw: np.random.Generator, city: str, trades: Texts) -> Texts:
    """Return one name each; a number keeps names apart, as registers demand."""
    count = len(trades)
    numbers = np.arange(count)
    extra = np.where(numbers < len(FIRM_NAMES), "", draw.choice(list("丰茂隆昌兴顺和祥安康"), count))
    return joined(city, np.array(FIRM_NAMES)[numbers % len(FIRM_NAMES)], extra, trades, "有限公司")
