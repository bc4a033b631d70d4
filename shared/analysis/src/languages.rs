//! Features of languages: stop words, letters and endings.
//!
//! The stop word lists are short on purpose: longer ones found less in our measurements. They hold articles, pronouns,
//! prepositions, conjunctions, question words and auxiliaries, in lower case and without apostrophes. Words are listed
//! with and without accents, because some people omit them; but `thé`, `maïs` and `sûr` are found although `the`,
//! `mais` and `sur` are stop words. Frequent nouns are left out: `été`, `avions`, `sommes`.

use frostem::Algorithm;
use whatlang::Lang;

/// The definition of a language.
pub(super) struct Definition {
    /// Its names in metadata, in lower case: ISO 639 codes, and its name in itself, English and French.
    pub(super) names: &'static [&'static str],
    /// Its model for recognizing letters.
    pub(super) letters_of: Lang,
    /// Its stemmer.
    pub(super) algorithm: Algorithm,
    /// Stop words, separated by blanks.
    pub(super) stop_words: &'static str,
    /// The ones that most sentences have.
    pub(super) frequent: &'static str,
    /// Its non-ASCII letters.
    pub(super) letters: &'static str,
    /// Endings rare in others.
    pub(super) endings: &'static [&'static str],
}

pub(super) const FRENCH: Definition = Definition {
    names: &["fr", "fra", "fre", "french", "français", "francais"],
    letters_of: Lang::Fra,
    algorithm: Algorithm::French,
    stop_words: "a afin ai aie aient ainsi alors apres après as au aucun aucune aujourdhui auquel aura aurait \
        auront aussi autre autres aux auxquelles auxquels avaient avait avant avec avez avoir avons \
        ayant ca car ce ceci cela celle celles celui ces cet cette ceux chaque chez ci combien comme \
        comment dans de depuis des desquelles desquels donc dont du duquel elle elles en encore \
        entre es est et etaient etais etait etant etes etre eu eut eux furent fut ici il ils je \
        jusque la laquelle le lequel les lesquelles lesquels leur leurs lors lorsque lui là ma mais \
        me meme memes mes moi moins mon même mêmes ne ni nos notre nous on ont ou où par parce pas \
        pendant peut peuvent plus plusieurs pour pourquoi puis puisque quand que quel quelle quelles \
        quelque quelques quels qui quoi sa sans se sera serait seront ses si sien soi soient soit \
        son sont sous suis sur ta te tel telle telles tels tes toi ton tous tout toute toutes tres \
        très tu un une vers via voici voila voilà vos votre vous y à ça étaient étais était étant \
        êtes être",
    frequent: "a au avec ce combien comment dans de des du elle en est et il la le les ne où par pas plus pour pourquoi quand que quel quelle quelles quels qui se sont sur un une",
    letters: "àâæçéèêëîïôœùûüÿ",
    endings: &["eaux", "ée", "ées", "ités", "ière", "ières", "euse", "eux"],
};

pub(super) const ENGLISH: Definition = Definition {
    names: &["en", "eng", "english", "anglais"],
    letters_of: Lang::Eng,
    algorithm: Algorithm::English,
    stop_words: "a about after all also am an and another any are aren as at be because been before being \
        between both but by can cannot cant could couldnt did didnt do does doesnt doing dont during \
        each either few for from further had has hasnt have havent having he her here hers herself \
        him himself his how i if in into is isnt it its itself just me might more most must my \
        myself neither no nor not of off on once only onto or other our ourselves out over own same \
        shall she should shouldnt since so some such than that the their theirs them themselves then \
        there these they this those through to too under until up upon us very was wasnt we were \
        werent what when where whether which while who whom whose why will with within without wont \
        would wouldnt yes yet you your yours yourself yourselves",
    frequent: "a and are as at be by did do does for from how in is it of on that the this to was were what when where which who with",
    letters: "",
    endings: &[
        "ing", "ness", "ship", "ght", "ough", "ry", "ty", "cy", "ly", "ed",
    ],
};

pub(super) const GERMAN: Definition = Definition {
    names: &["de", "deu", "ger", "german", "deutsch", "allemand"],
    letters_of: Lang::Deu,
    algorithm: Algorithm::German,
    stop_words: "aber alle allem allen aller alles als also am an andere anderen anderer anderes auch auf aus bei beim \
        bin bis bist da dabei dadurch dafur dafür daher damit dann daran darauf darf darum das dass dazu dein \
        deine dem den denen der deren des dessen die dies diese diesem diesen dieser dieses doch dort du \
        durch durfen dürfen ein eine einem einen einer eines er es etwas euch fur für gegen gibt habe haben \
        hat hatte hatten hätte ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist ja jede jedem jeden \
        jeder jedes jetzt kann kein keine keinem keinen keiner konnen konnte können könnte man mehr mein \
        meine mich mir mit muss mussen müssen nach nicht nichts noch nun nur ob oder ohne sehr sein seine \
        seinem seinen seiner seit sich sie sind so soll sollen sollte sondern sowie uber und uns unser unsere \
        unter über um vom von vor wann war waren warum was weil welche welchem welchen welcher welches \
        wem wen wenn wer werden wessen wie wieder will wir wird wo wodurch wofür wohin womit wurde wurden \
        während würde zu zum zur zwischen",
    frequent: "als am an auf bei das dem den der des die ein eine einer es für im in ist mit nicht sich sind und von wann warum was welche welcher welches wer werden wie wurde zu",
    letters: "äöüß",
    endings: &[
        "ung", "ungen", "keit", "heit", "lich", "liche", "lichen", "schaft", "isch",
    ],
};

pub(super) const SPANISH: Definition = Definition {
    names: &[
        "es",
        "spa",
        "spanish",
        "español",
        "espanol",
        "castellano",
        "espagnol",
    ],
    letters_of: Lang::Spa,
    algorithm: Algorithm::Spanish,
    stop_words: "a adonde adónde al algo alguna algunas alguno algunos algún ante antes aquel aquella aquellas aquellos \
        aunque cada como con cual cuales cualquier cuando cuanta cuantas cuanto cuantos cuál cuáles cuándo cuánta \
        cuántas cuánto cuántos cómo de del desde donde dos durante dónde e el ella ellas ello ellos en entre era \
        eran es esa esas ese eso esos esta estaba estado estan estar estas este esto estos está están fue fueron \
        ha haber habia había han has hasta hay he la las le les lo los mas me mi mientras mis mucho muchos muy \
        más ni no nos nosotros nuestra nuestro o os otra otras otro otros para pero poco por porque pueda puede \
        pueden pues que quien quienes quién qué se sea ser si sido sin sobre son su sus sí tal también tambien \
        tan tanto te tiene tienen toda todas todo todos tras tu tus un una unas uno unos y ya él",
    frequent: "a al como con cuál de del el en es fue la las lo los no para por que quién qué se su un una y cuándo dónde",
    letters: "áéíóúñü",
    endings: &[
        "ción", "ciones", "dad", "dades", "ía", "ías", "cion", "illo", "miento", "os", "ajes",
    ],
};

pub(super) const ITALIAN: Definition = Definition {
    names: &["it", "ita", "italian", "italiano", "italien"],
    letters_of: Lang::Ita,
    algorithm: Algorithm::Italian,
    stop_words: "a ad ai al alla alle allo altra altre altri altro anche ancora aveva avevano avere che chi ci ciascuna \
        ciascuno cio ciò co coi col come con contro cosa cui da dagli dai dal dalla dalle dallo degli dei del \
        della delle dello deve di dopo dove dovè durante e ecco ed era erano essere fra fu furono gia già gli \
        ha hai hanno ho i il in io la le lei li lo loro lui ma mentre mi mia mie mio molto ne nei negli nel \
        nella nelle nello nessun nessuna noi non nostra nostro o ogni oppure per perche perché piu più po poi \
        prima pro puo può qua qual quale quali qualche quando quanta quante quanti quanto quel quella quelle \
        quelli quello quest questa queste questi questo qui quindi se sei senza si sia siamo siano sono sopra \
        sotto sta stata state stati stato su sua sue sugli sui sul sulla sulle sullo suo suoi tra tu tutta tutte \
        tutti tutto un una uno vi voi è",
    frequent: "a al alla che chi come con da dei del della di e gli i il in la le nel non per quale quali si sono un una è perché quando",
    letters: "àèìòù",
    endings: &[
        "zione", "zioni", "tà", "aggio", "aggi", "mento", "menti", "elli", "etti", "cchio", "ucci",
    ],
};

pub(super) const PORTUGUESE: Definition = Definition {
    names: &[
        "pt",
        "por",
        "portuguese",
        "português",
        "portugues",
        "portugais",
    ],
    letters_of: Lang::Por,
    algorithm: Algorithm::Portuguese,
    stop_words: "a ainda alguma algumas algum alguns ao aos apos após aquela aquelas aquele aqueles aquilo as ate até \
        cada com como cuja cujo da das de dela delas dele deles depois desde dessa desse desta deste do dos \
        durante e ela elas ele eles em entre era eram essa essas esse esses esta estao estar estas estava este \
        estes está estão eu foi foram ha haver há isso isto ja já lhe lhes lo mais mas me mesma mesmo meu meus \
        minha minhas muito muitos na nao nas nem no nos nossa nosso não num numa nós o onde os ou outra outras \
        outro outros para pela pelas pelo pelos per perante pode podem por porque porquê pois qual quais qualquer \
        quando quanta quantas quanto quantos quao que quem quê se sem ser sera será seu seus sido sob sobre sua \
        suas são sao só tal tambem também tanto te tem tendo ter teve toda todas todo todos tu têm um uma umas \
        uns você voce vocês à às é",
    frequent: "a ao as com como da de do dos e em foi na no não o os para por qual quais quando que se um uma é onde",
    letters: "áâãàçéêíóôõú",
    endings: &[
        "ção", "ções", "dade", "dades", "ão", "ões", "inho", "eira", "eiro", "agem", "agens",
        "mento",
    ],
};

pub(super) const DUTCH: Definition = Definition {
    names: &["nl", "nld", "dut", "dutch", "nederlands", "néerlandais"],
    letters_of: Lang::Nld,
    algorithm: Algorithm::Dutch,
    stop_words: "aan af al alle alleen als altijd andere ben bij binnen daar daarom dan dat de der deze die dit doen \
        door dus een eens elk elke en er geen had hadden heb hebben heeft hem het hier hij hoe hoeveel hun ik in \
        is je jij jullie kan konden kunnen kun maar mag meer men met mij mijn moet moeten na naar niet niets nog nu \
        of om omdat onder ons onze ook op over reeds sinds te tegen ten ter toch toen tot tussen u uit uw van \
        vanaf veel via volgens voor waar waarom wanneer want waren was wat we welk welke werd werden wie wij \
        wil worden wordt zal ze zelf zich zij zijn zo zonder zou zouden",
    frequent: "aan bij dat de die door een en er het hoe in is met niet op te uit van voor wat welke werd wie zijn wanneer waar",
    letters: "éëïèöü",
    endings: &[
        "heid", "lijk", "lijke", "ijk", "ingen", "ij", "eer", "aar", "oor", "uur", "aat", "oek",
        "ijn",
    ],
};
