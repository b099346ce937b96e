package people

// The tables are our own: shares of family names as they are commonly known,
// rounded, and characters that parents of three times have liked, the most
// liked first. Sounds and old forms follow dictionaries.

// familyShares gives family names and how many of 10,000 people carry each.
const familyShares = "王715 李720 张680 刘540 陈450 杨310 黄220 赵230 周200 吴200 徐145 孙150 马130 朱130 胡115 郭110 何110 林115 高100 罗95 郑90 梁85 谢75 宋75 唐68 许65 邓63 韩65 冯62 曹60 彭58 曾55 肖60 田48 董50 袁50 潘47 于47 蒋47 蔡45 余45 杜45 叶42 程45 苏43 魏45 吕44 丁43 任40 沈40 姚40 卢40 姜38 崔38 钟36 谭36 陆35 汪35 范34 金33 石33 廖33 贾32 夏32 韦31 傅30 方30 白30 邹30 孟28 熊28 秦28 邱28 江27 尹26 薛26 阎20 段25 雷25 侯25 龙24 史24 陶23 黎22 贺22 顾22 毛21 郝21 龚20 邵20 万20 钱19 严19 覃18 武18 戴18 莫17 孔16 向15 汤15 单4 仇3 解4 翟9 查3 朴2 区2 盖2 尉2 欧阳8 上官2 司马1 诸葛1 司徒1 慕容1 令狐1 东方1 端木1 夏侯1"

// liked gives the characters of given names by time of birth and sex.
var liked = map[string]string{
	"old m": "国建德志文明福祥贵荣富生学忠义新春山海金龙树林成永庆洪振东玉清华光发根长宝兴昌",
	"old f": "英秀兰桂玉珍凤芳梅菊淑素琴花月华莲翠霞云金香娥珠美银彩巧芬仙春红爱贞惠",
	"mid m": "伟强勇军涛斌辉刚杰鹏波平峰建国志明海东超洪林亮新文飞宏雄健荣华永胜立民刘磊俊凯鑫晓宁",
	"mid f": "丽敏静芳燕红霞娟艳玲萍娜秀英梅琳云洁莉晶雪春华琴婷慧倩蓉兰丹颖凤欣妍佳佩",
	"new m": "浩宇轩泽子梓俊杰博文睿一诺昊天嘉豪逸辰晨皓铭航瑞思远旭霖奕明熙恒宸哲佑之翰凡煜",
	"new f": "梓涵欣怡诗雨佳琪思雅妍婷可馨萱依诺语彤若曦梦瑶紫晗芷晴悦心艺静淑颖嘉宁一念安沐",
}

// sounds lists characters by their syllable: those of one syllable are what an
// input method offers side by side.
const sounds = "ai爱艾 an安 bai白 bao宝 bin宾彬斌滨 bo博播波 cai彩蔡 cao曹 ceng曾 cha查 chang昌 chao朝潮超 chen宸晨臣辰陈 cheng城成承晟程诚 chou仇 chun春椿纯 cui崔翠 dai戴 dan丹单 de得德 deng邓 di翟 ding丁 dong东冬董 du杜 duan段端 e娥 fa发 fan凡繁范 fang坊房方芳 " +
	"fei菲霏非飞 fen纷芬 feng丰冯凤峰枫锋风 fu付傅富福 gai盖 gang刚纲钢 gao高 ge葛 gen根 gong龚 gu顾 guan官 guang光 gui桂贵 guo国果郭 hai海 han函含寒晗汉涵翰韩 hang杭航 hao好昊浩皓豪郝 he何贺 heng亨恒衡 hong宏弘洪红虹鸿 hou侯 hu狐胡 hua华桦花骅 huang黄 hui会惠慧晖辉 " +
	"jia佳加嘉家贾 jian健剑建键 jiang姜江蒋 jie婕捷杰洁结节解 jin津进金锦 jing净境婧晶菁靖静 ju菊 juan娟涓鹃 jun俊军君均峻钧骏 kai凯恺楷 ke可柯珂 kong孔 lan兰岚蓝 lei垒磊蕾雷 li丽俐利力李立莅莉黎 lian莲 liang亮梁良 liao廖辽 lin临林琳霖 ling令凌灵玲铃 liu刘 long隆龙 lu卢陆 luo罗 " +
	"lv吕 ma马 mao毛 mei媒梅玫美 meng孟梦 min悯敏民珉闽 ming名明铭鸣 mo莫 mu慕暮木沐 na娜纳那 ni妮 nian年念 ning凝宁 nuo诺 ou欧 pan潘 pei佩沛 peng彭朋鹏 ping坪屏平萍 pu朴 qi奇棋琦琪祺 qian倩钱 qiang墙强蔷 qiao巧 qin勤琴秦 qing庆晴清青 qiu邱 qu区 ren任 rong容荣蓉融 " +
	"rui瑞睿芮锐 ruo若 sha沙莎 shan姗山珊 shang上 shao邵 shen沈 sheng升圣声生盛笙胜 shi史师施石诗 shu书树淑舒述 si丝司思斯 song宋 su素苏 sun孙 tan覃谭 tang唐汤 tao涛陶 tian天田 ting亭婷庭 tong同彤桐瞳童 tu徒 wan万 wang汪王 wei伟卫尉嵬巍微炜玮维薇韦魏 wen文闻雯 wu吴武 " +
	"xi夕希曦熙西 xia侠夏霞 xian仙 xiang向祥翔详香 xiao小晓筱肖 xie谢 xin心新昕欣鑫馨 xing兴 xiong熊雄 xiu秀绣锈 xu序徐旭煦许 xuan喧宣萱轩 xue学薛雪 ya亚娅雅 yan严妍彦焰燕艳阎雁 yang扬杨洋阳 yao姚尧瑶遥 ye叶 yi一义亦仪伊依奕宜怡意毅益艺逸 yin尹银 ying瑛英莹颖 yong勇咏永泳 you佑 " +
	"yu予于余宇煜玉羽育裕语钰雨 yuan园媛袁远 yue悦月越 yun云耘芸 zai仔 ze则择泽 zhang张长 zhao赵 zhe哲喆 zhen振珍真贞镇震 zheng郑 zhi之志智治致芝芷 zhong忠钟 zhou周 zhu朱珠诸 zi子梓紫 zou邹"

// oldForms gives characters and their traditional forms.
const oldForms = "亚亞 侠俠 伟偉 杰傑 家傢 仪儀 俊儁 净凈 凯凱 则則 刚剛 刘劉 剑劍 胜勝 区區 吴吳 吕呂 念唸 单單 向嚮 严嚴 苏囌 国國 园園 尧堯 墙墻 垒壘 梦夢 姗姍 娅婭 孙孫 学學 宁寧 宝寶 峰峯 岚嵐 师師 张張 强強 彦彥 恒恆 悦悅 爱愛 恺愷 庆慶 悯憫 扬揚 择擇 于於 升昇 晖暉 晓曉 书書 会會 东東 查査 棋棊 杨楊 枫楓 荣榮 梁樑 朴樸 树樹 " +
	"桦樺 欧歐 凌淩 汤湯 汉漢 洁潔 泽澤 涛濤 滨濱 沈瀋 炜煒 玮瑋 瑶瑤 莹瑩 发發 卢盧 真眞 朱硃 颖穎 节節 范範 红紅 纳納 纯純 纷紛 结結 丝絲 绣綉 维維 纲綱 彩綵 致緻 罗羅 义義 圣聖 闻聞 声聲 临臨 兴興 艳艷 华華 万萬 叶葉 莅蒞 盖蓋 莲蓮 蒋蔣 芸蕓 姜薑 蔷薔 蓝藍 艺藝 兰蘭 同衕 胡衚 卫衛 许許 咏詠 诗詩 详詳 志誌 语語 诚誠 " +
	"诸諸 诺諾 谢謝 谭譚 丰豐 贞貞 贵貴 贺賀 贾賈 宾賓 赵趙 军軍 轩軒 辉輝 周週 进進 遥遙 远遠 辽遼 邹鄒 邓鄧 郑鄭 钧鈞 钟鈡 铃鈴 钰鈺 银銀 铭銘 锐銳 锈銹 锋鋒 钢鋼 钱錢 锦錦 键鍵 镇鎭 长長 闽閩 阎閻 陈陳 陆陸 阳陽 云雲 灵靈 静靜 韦韋 韩韓 顾顧 风風 飞飛 余餘 马馬 冯馮 骏駿 骅驊 凤鳳 鸣鳴 鸿鴻 鹃鵑 鹏鵬 丽麗 黄黃 冬鼕 " +
	"龙龍 龚龔"

// surnameSounds are the family names that sound otherwise than their
// character.
var surnameSounds = map[string]string{"曾": "zeng", "单": "shan", "解": "xie", "仇": "qiu", "查": "zha", "朴": "piao", "区": "ou", "尉": "wei", "翟": "zhai",
	"欧阳": "ouyang", "上官": "shangguan", "司马": "sima", "诸葛": "zhuge", "司徒": "situ", "慕容": "murong", "令狐": "linghu", "东方": "dongfang", "端木": "duanmu", "夏侯": "xiahou"}

// cantonese spells what Hong Kong papers do.
var cantonese = map[string]string{
	"陈": "chan", "张": "cheung", "黄": "wong", "王": "wong", "李": "lee", "吴": "ng", "梁": "leung", "刘": "lau", "林": "lam", "何": "ho", "郑": "cheng", "周": "chow", "曾": "tsang",
	"郭": "kwok", "杨": "yeung", "朱": "chu", "邓": "tang", "冯": "fung", "徐": "tsui", "许": "hui", "叶": "yip", "麦": "mak", "罗": "lo", "潘": "poon", "萧": "siu", "赵": "chiu", "谢": "tse",
	"国": "kwok", "伟": "wai", "明": "ming", "华": "wah", "强": "keung", "志": "chi", "文": "man", "家": "ka", "俊": "chun", "杰": "kit", "豪": "ho", "辉": "fai", "荣": "wing", "成": "shing",
	"永": "wing", "德": "tak", "建": "kin", "玉": "yuk", "珍": "chun", "芳": "fong", "英": "ying", "美": "mei", "丽": "lai", "慧": "wai", "敏": "man", "静": "ching", "婷": "ting", "欣": "yan",
	"怡": "yi", "雪": "suet", "嘉": "ka", "浩": "ho", "宇": "yu", "子": "tsz", "轩": "hin", "诗": "sze", "佩": "pui", "颖": "wing", "凤": "fung", "兰": "lan", "秀": "sau", "桂": "kwai", "琴": "kam"}

// lookalikes are characters that are taken for each other by eye.
const lookalikes = "己已 日曰 未末 土士 人入 干千 天夭 晴睛 清请 娜那 涵函 梓桦 宇字 辰晨 杨扬 王玉 刘浏 冶治 莱菜 住佳 佳隹 婷亭 敏每 杰木 晓哓 琳林 斌彬 慧惠 娟捐 彤丹 昊吴 皓浩 翰瀚 芬芳 辉晖 钧钩 锋峰 霞露 "
