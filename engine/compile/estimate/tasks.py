"""How many tokens a benchmark makes a model read, as far as that is known before its data are read."""

from dataclasses import dataclass
from typing import assert_never

from engine.compile.resolve import Runs, named_runs
from engine.data.spec import Ingest
from engine.evaluate.lm_eval.spec import (
    FirstShots,
    Gsm8k,
    HeldShots,
    HumanEval,
    LibraryTask,
    NoShots,
    OfflineTask,
    PublishedTask,
    Shots,
    Task,
)
from engine.spec.ref import Ref

CHARACTERS = 4  # of a token: assumed, as English text has it in the vocabularies of these models
TRUTHFULQA_SHOTS = 850  # characters of the six questions before every item, about


@dataclass(frozen=True, slots=True)
class Extent:
    """Counted once in a file: items, the sequences that they become (one a choice), characters of these together."""

    items: int
    sequences: int
    characters: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model reads of a task."""

    sequences: int
    tokens: int


MMLU = {
    "afdfc6f71eb42297a51f53bd221429671a4065a6425bd7631acb84fef011bfd4": (100, 18498),  # abstract_algebra
    "b27ce42f40482ba735cf0de8e8bbba3382d506c099d8483c55e9cacdac4e3eec": (135, 31995),  # anatomy
    "1008ecdf7f88a336001b04f739f3fcfff72b3e15fb746880ace2d05f0002c957": (152, 45393),  # astronomy
    "7ce6063b0ed2ba08ac51cc94be1708ce91aeecd17f71cabbb2f86b4e80f3876a": (100, 32428),  # business_ethics
    "9ba57061f15ae7263a12eeb413b73d876038e0ce21734ffce411e1ae22662737": (265, 60621),  # clinical_knowledge
    "872bae5fe76cecb083603a7ba95adc436a8e345f50c5ee232cc8bfa9f9f56713": (144, 47597),  # college_biology
    "6335fe0f7da7a3ec76a9067869445253111080261df1c560a2527df01f34ae67": (100, 23719),  # college_chemistry
    "f06e071452389e4a9f0aa7c5bc07401b282ffd659f9ec08c2d301b1fca471024": (100, 41774),  # college_computer_science
    "2929eb3851fa6f37de8188f0a7fa817bec44fb5f5a04efa06f89ea272eae2f0b": (100, 23777),  # college_mathematics
    "65876236acf78e813e62b78cdc2217c2651785324b8c51148aaffa6d89436d0d": (173, 80725),  # college_medicine
    "3f67202a7a62da0f0ab3028e0a0cf26a3cffc041283044f51f3e058258eab281": (102, 29301),  # college_physics
    "f4b8b8f107144acd0c2b343553986c161a759cd459706cb72f9bb72752655162": (100, 26189),  # computer_security
    "7186a0cdcd18dff2183dbd26d44f2d59d01f42687092e1229088735d508c06e1": (235, 38720),  # conceptual_physics
    "13f21181bb3a26bfd290284ab80850f9c1e1ba90f00df6f17112b8c68e934cee": (114, 45623),  # econometrics
    "d78bba02efa107c61a82f2f82ee93e99366f5626fdf772a03eb3b749073cd1c1": (145, 23940),  # electrical_engineering
    "701d8bbc120fd210a309f5e43c9cbfca8e1f01f6b9a26f43f669f0d29acc45ef": (378, 66457),  # elementary_mathematics
    "c72df82993166fc1c9b3f145964b1b4791ce512c0d3f22919e9b46aaea17ef4b": (126, 47434),  # formal_logic
    "b80c9b31bc56727ebb3f1f980fbf40dbbd48565f609d1be9642ebe10a1c747a2": (100, 17577),  # global_facts
    "4ffe58996b33947fae8f374124c20f95560b773cbd3c9cafea0a3e90bcf4140b": (310, 107125),  # high_school_biology
    "42dcc80210a4cd861529e2cbaa04584d1d1cfd32d5515b385343df724d37408f": (203, 56603),  # high_school_chemistry
    "3865e92ef308c42ad7d653301647c6cd5bfa6d67f20c9fbbdfe14c2c1eb5bbbc": (100, 43534),  # high_school_computer_science
    "696d4b82f27792ac04915a7f6822370b4a42133fcd83c9a13fe5d74aaba37fbb": (165, 268310),  # high_school_european_history
    "4c0c06e32b73ec3f5b55bdab2a124b3b9736e888d2edadc6f40d6172052f7507": (198, 40405),  # high_school_geography
    "a3e20fbcff3bb0bdc613db7b56257c4e72d83d6e04e60db25c84e81d8c70a7d2": (
        193,
        64518,
    ),  # high_school_government_and_politics
    "a06fba67bf6b92e5174d049fdb484df8c6e663586a910e725e195ebf43116b9c": (390, 113674),  # high_school_macroeconomics
    "56b119f139ba07c0e2a9616e60397e3415cdca1532ae217ac6d8fd1bddfc96f7": (270, 52465),  # high_school_mathematics
    "a6acbf0d864e51540e0c219e433dc0f54a56d8a35255bf294d4de8d09b7ef00d": (238, 73772),  # high_school_microeconomics
    "e5258c55a5e67a62c26fa0d2564b5263b69d38810e51204c59017789a771e253": (151, 58079),  # high_school_physics
    "c7aabf2ccfee7489bf1494cfa1504a679eb69e27caa7d64bd1e9e63cff5c3fe9": (545, 154991),  # high_school_psychology
    "c305647bc50d6e049ab0d33e79a3455a964421a54023ba14fa6b3c72e19a8d1d": (216, 108819),  # high_school_statistics
    "cd6c60e147dd70dde6b523c6ca0be07a78f7a1be7492278aa06641bc1f12680e": (204, 294293),  # high_school_us_history
    "cb083c69f1a4efb316ea8645899872d2528d55a7bf7cad1d625fcf369db0e943": (237, 375812),  # high_school_world_history
    "ce44b96c0d5bb9f0491f34a6b30d8feb2e82092e5f094990a9632b67bf75277b": (223, 44300),  # human_aging
    "98af8223edc66de68cfd9dfb18e19a65b94ad1559204f3f239ebb227112732f6": (131, 31049),  # human_sexuality
    "e4fb345f044b54ef01ddda7126b61c328202cf0160e8f27831f082cc63da8ed9": (121, 52551),  # international_law
    "26780d8e35636af29b00b26b808d43aa466d9c06fa7b27a9b4c753b335883286": (108, 33074),  # jurisprudence
    "f40e1e6098a69cd8511c009f024c7d7caaad4a2f7cb9501be5a377167a5def60": (163, 48801),  # logical_fallacies
    "50d163266dbc8672b8097c32a4765ff4a5e8767ac4a8971e70ddccbd5b817bd3": (112, 32929),  # machine_learning
    "423261b2633e20df5b4febfba4ecc7366917cdbabdb7e3ede4b1be98adf5dce5": (103, 19165),  # management
    "1853316726e9fa72eba8d74a67fc45da9a2c7ed1cb892496359d87426a7f7c8a": (234, 61018),  # marketing
    "b330e63b2e60345285490ff495d5f4aea1981d738cc303c559903ec1c12238c1": (100, 20031),  # medical_genetics
    "58f67b35c1890985ccdd1c6b4e9a4e8bfd4f8e0e5fadf5726860ae789c65d5e8": (783, 141383),  # miscellaneous
    "2f3379380a469cbc2ed5d03372bae01306a19c65d053cc638435b92808b439f2": (346, 104693),  # moral_disputes
    "1776d1bf56388452ef80112bb1b5e94a6017abcb79b11540927e98f92cee8fba": (895, 366846),  # moral_scenarios
    "acb668e8064655eab8869d8cc65ebc40af39acfe6eb40e0e1a83dfb87bffdc2a": (306, 89628),  # nutrition
    "74576271e2f9e3a01b4c437209323e833fb09a4e3a79217b16caa65e94ee8ba0": (311, 77331),  # philosophy
    "5ff0349229f3bddf399ec0bf2c28c46a32d18997dd4bd93436702ba8bfccba78": (324, 86927),  # prehistory
    "728c6030e2e2e882a73305279b149b34b44c8f0203bdf6c5c75d48602bfb883a": (282, 122026),  # professional_accounting
    "59884277f245b8332d6d02ba16fdefd7ca5bdc7ed51dca5f19147094f087c28d": (1534, 1879155),  # professional_law
    "3490aa679090fdfd94f1a887219f2a85bb4028f4d0e6d49d6242fb9a99b846a1": (272, 215076),  # professional_medicine
    "5a3847f67470bff48c551dc80ac2a272a4378311d988ba5cad6325ba5d94e779": (612, 220157),  # professional_psychology
    "6f12b33facda9e0ab191debe3fb638d86c61c66a6205ed333b0890815f53b9be": (110, 27866),  # public_relations
    "df86d642637dcada2f62ccb793739d0d6384552616c11bb3941d201cf3ab4ef1": (245, 202870),  # security_studies
    "7ee6baaa0082e04a03a64a722ab50b495edb49c26306e850a49e26b1a4edc88d": (201, 64619),  # sociology
    "5fbff75d8a6f1bfa1e4ca696a2db9ffbf11e3b97809ab97c00c813b96bd27e08": (100, 27628),  # us_foreign_policy
    "cfb95d550d800b600a1d802bdb4ab4b5018b168d74f87af5fdbea5b623d279c1": (166, 37368),  # virology
    "203c71d35b4d667a4010b032ad57cc75a561209c94e2235eb5c549310bf23789": (171, 23792),  # world_religions
}
"""Questions of a subject's `test` file by its sha256, and their characters with those of the choices; measured here."""

EXTENTS = {
    # PIQA, BoolQ, ARC easy, ARC challenge, HumanEval (prompts): as mosaicml/llm-foundry has them
    "d2870e73aec5154df3faf259b7700876e11608eebdf69e9d6667435673dbe4e0": Extent(1838, 3676, 537564),
    "454ff101e614370bb1807fe7ebbda6fdb57e794b9662cc1ccae211bf1ff626c8": Extent(3270, 6540, 4099002),
    "d2d12e59543acf9a5ef6079634a72b30215e36c2fd4236fff3bc855d287b87f5": Extent(2376, 9504, 1398791),
    "1ae3aeedf1951d881cbd5c2e3a31e78a1993d251479afbe4cb413b6707244636": Extent(1172, 4688, 804666),
    "a0eb83f052f2ad70ba09061d558a8942b0f78823fb391adab7c5cbf728e1b82c": Extent(164, 164, 73897),
    # HellaSwag, validation
    "50b637899e4263c2bc456c2dc726c95d2c8cd8e2a552ea5bd7719ce3cb03fe5b": Extent(10042, 40168, 14559130),
    # TruthfulQA: all choices of mc2
    "c90d853454fd48c676accb33e16923ac438dbb6fb37ecc7c6a70e33c9e556e87": Extent(
        790, 6045, 662548 + 6045 * TRUTHFULQA_SHOTS
    ),
    "b3799639bc76c939836d587de7d30b48d91012cb34be04806d33106ce06c162a": Extent(
        817, 6204, 681923 + 6204 * TRUTHFULQA_SHOTS
    ),
    # GSM8K (questions), LAMBADA
    "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14": Extent(1319, 1319, 316390),
    "4aa8d02cd17c719165fc8a7887fddd641f43fcafa4b1c806ca8abc31fabdb226": Extent(5153, 5153, 1663859),
    **{
        sha256: Extent(items, items, characters) for sha256, (items, characters) in MMLU.items()
    },  # letters share a pass
}
"""Files by sha256; measured here over their bytes."""


TEXTS = {
    # WikiText-2, test, with <unk>
    "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0": 1255018,
}
"""Characters of whole files by sha256; measured here over their bytes."""


def text_characters(documents: Ref, above: Runs) -> int | None:
    """Of documents that an ingest takes as they are from files that were counted; None where one was not."""
    found = 0
    for run in named_runs(documents.parts, above):
        stage = above[run]
        if not isinstance(stage, Ingest):
            return None
        counts = [None if source.members else TEXTS.get(source.sha256) for source in stage.sources]
        known = [count for count in counts if count is not None]
        if len(known) < len(counts):
            return None
        found += sum(known)
    return found


def task_reading(task: Task) -> Reading | None:
    """All sequences of a task, written tokens included; None where the data were never counted."""
    match task:
        case PublishedTask():
            sequences = task.items * task.sequences
            return Reading(sequences, sequences * task.tokens)
        case OfflineTask():
            extent = EXTENTS.get(task.data.sha256)
            return None if extent is None else _offline(task, extent)
        case LibraryTask():
            return None
        case _:
            assert_never(task)


def _offline(task: OfflineTask, extent: Extent) -> Reading:
    items = min(task.limit or extent.items, extent.items)
    read = extent.characters * (1 + shots_of(task.shots)) // CHARACTERS
    tokens = read + extent.sequences * _written(task)
    return Reading(extent.sequences * items // extent.items, tokens * items // extent.items)


def _written(task: OfflineTask) -> int:
    """Most tokens that the model writes for an item."""
    match task.set:
        case Gsm8k(most_tokens=most) | HumanEval(most_tokens=most):
            return most
        case _:
            return 0


def shots_of(shots: Shots) -> int:
    """Examples before an item, each taken to be as long as the item."""
    match shots:
        case NoShots():
            return 0
        case HeldShots(count=count) | FirstShots(count=count):
            return count
        case _:
            assert_never(shots)
