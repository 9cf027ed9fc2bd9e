# The public names, and where they are defined.
from sequentia.api import fit as fit
from sequentia.data import CharDataModule as CharDataModule
from sequentia.errors import UserError as UserError
from sequentia.evaluation.evaluate import evaluate as evaluate
from sequentia.inference.classification import classify as classify
from sequentia.inference.options import SamplingOptions as SamplingOptions
from sequentia.inference.sampling import Sample as Sample
from sequentia.inference.sampling import generate as generate
from sequentia.inference.scoring import Score as Score
from sequentia.inference.scoring import score as score
from sequentia.inference.search import top as top
from sequentia.models import *  # noqa: F403
from sequentia.reporting import draw as draw
from sequentia.runs.checkpoint import load as load
from sequentia.version import __version__ as __version__
from sequentia.vocabulary import Vocabulary as Vocabulary
