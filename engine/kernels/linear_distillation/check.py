"""What arguments a distillation takes."""

# N positions, D width of the student, E width of the teacher, V vocabulary

from torch import Tensor

from engine.spec.errors import ArtifactError

WHERE = "kernels.linear_distillation"


def check(x_ND: Tensor, head_VD: Tensor, teacher_NE: Tensor, teacher_head_VE: Tensor) -> None:
    """ArtifactError unless x is [N, D], head [V, D], and the teacher's [N, E] and [V, E], with N at least 1."""
    given = {"x": x_ND, "head": head_VD, "teacher": teacher_NE, "teacher_head": teacher_head_VE}
    shapes = ", ".join(f"{name} {tuple(x.shape)}" for name, x in given.items())
    if any(x.ndim != 2 for x in given.values()):
        raise ArtifactError(f"{WHERE}: {shapes}, where all are matrices")
    if len(head_VD) != len(teacher_head_VE):
        raise ArtifactError(
            f"{WHERE}: the vocabularies differ, {len(head_VD)} ids of the student and {len(teacher_head_VE)} of the "
            "teacher; distillation needs one tokenizer"
        )
    if x_ND.shape[1] != head_VD.shape[1] or teacher_NE.shape[1] != teacher_head_VE.shape[1]:
        raise ArtifactError(f"{WHERE}: {shapes} do not fit: a head has the width of its features")
    if len(x_ND) != len(teacher_NE):
        raise ArtifactError(f"{WHERE}: {shapes} do not fit: student and teacher see the same positions")
    if not len(x_ND):
        raise ArtifactError(f"{WHERE}: the batch is empty, and has no mean; give it at least one position")
