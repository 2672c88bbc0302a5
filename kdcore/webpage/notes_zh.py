"""The notes of a result in Chinese; keys and gaps are those of `kdcore.notes.TEMPLATES`."""

from __future__ import annotations

__all__ = ["TEMPLATES"]

TEMPLATES = {
    "counterpart": "学生“{student}”不支持 {task} 任务；由对应的“{other}”代替。",
    "loss_ignores_teacher": "损失函数 {loss} 不使用教师：此学生只是一个基线。",
    "no_bundle": "学生“{student}”无法写成 ONNX，因此没有部署包。",
    "both": "{first}{second}",
    "labels_cached": "教师 {teacher} 的标签来自缓存；使用 --no-cache 可重新生成。",
    "labels_in_sample": "教师 {teacher} 的标签来自它训练时用过的行；如果它也用留出行训练过，它自身的得分以及与它的差距会被高估。",
    "labels_asked_before": "教师的标签在划出留出行之前就已生成；如果教师见过这些行的目标值，结论会偏乐观。用 --test FILE 给出教师从未见过的行才可靠。",
    "compiled_too_large": "没有编译教师来测量它能有多快：{size:.0f} MB 超过了 {most:.0f} MB 的上限。",
    "compiled_differs": "编译后的教师与原教师不一致：{error}",
    "compiled_not": "该教师无法编译：{error}",
    "compiled_failed": "编译教师时出错：{error}",
    "compile_instead_log_loss": "建议改为编译教师：ONNX Runtime 用编译后的教师预测一行需 {teacher:.0f} 微秒，学生需 {student:.0f} 微秒，而其对数损失低 {gain}（95 % 区间 {low} 至 {high}）；可用 kd bench --save-teacher 或 kdcore.compiled.compile_teacher 写出。",
    "compile_instead_rmse": "建议改为编译教师：ONNX Runtime 用编译后的教师预测一行需 {teacher:.0f} 微秒，学生需 {student:.0f} 微秒，而其 RMSE 低 {gain}（95 % 区间 {low} 至 {high}）；可用 kd bench --save-teacher 或 kdcore.compiled.compile_teacher 写出。",
    "late": "教师标签用完了 {seconds:g} 秒的时限；学生直接从这些标签学习，没有合成行、调参和验证。",
    "not_compared": "比较各配方约需 {seconds:.0f} 秒，超出剩余时限；除非仅用真实标签在留出行上更好，否则采用默认配方。",
    "ahead_of_teacher": "在留出的训练行上，仅用真实标签的学生优于教师（损失 {student}，教师为 {teacher}），教师没有可教的内容；因此只用真实标签。",
    "harmed_by_rows": "在留出的训练行上，合成行有害（使用时损失为 {with_rows}，不用时为 {without}），因此没有使用合成行。",
    "other_recipe": "在留出的训练行上，配方“{recipe}”的损失为 {loss}，“{base}”为 {base_loss}（增益 {gain}，标准误 {se}），因此采用前者。",
    "most_synthetic": "每个训练行配 {times} 个合成行将达到 {wanted:,} 行；实际生成 {made:,} 行，这是上限。",
    "part_of_rows": "经 {encoder} 编码后每行有 {width:,} 列；为使其不超过 {size:,.0f} MB，学生只从 {all_rows:,} 行中随机抽取的 {rows:,} 行学习。减少编码器的分箱或列对，可以使用更多行。",
    "same_columns": "普通学生读取相同的 {n} 列（共 {p} 列），在同样的 {budget} 列上限内选出。",
    "few_rows": "{rows} 个训练行太少，无法据此选择列数；因此用满了上限。",
    "some_rows": "列由 {rows:,} 个训练行中的 {some:,} 行选出，并用另外 {judged:,} 行评判，使 {p:,} 列的表的副本保持较小。",
    "budget_too_large": "max_features={asked} 超过了表的 {p} 列，因此允许读取全部列。",
    "fewer_splits": "因时限，选择列时只用了 {wanted} 次训练行划分中的 {made} 次。",
    "search_ended": "因时限，列的搜索在 {all_sets} 组中的 {done} 组之后结束。",
    "relabel_failed_none": "教师无法在选定的列上重新训练，因此只用真实标签：{error}",
    "relabel_failed": "教师无法在选定的列上重新训练，因此使用它最初的标签：{error}",
    "relabel_none": "比较了教师的标签、在选定的 {n} 列上重新训练的同一教师的标签，以及仅用真实标签{compared}，采用了最后一种。",
    "relabel_old": "在选定的 {n} 列上重新训练的教师，其标签并不更好{compared}，因此采用读取全部列的教师的标签。",
    "relabel_new": "学生向在选定的 {n} 列上重新训练的教师学习{compared}；表中的教师读取全部列。",
    "relabel_losses": "（留出训练行上的损失：最初的标签 {old}，新标签 {new}，仅真实标签 {none}）",
    "trial_beside_labels": "第 {trial} 次试验（共 {trials} 次）；普通学生取自第 {best} 次试验，它是最多读取 {columns} 列、仅用真实标签的试验中最好的。",
    "trial_alone": "第 {trial} 次试验（共 {trials} 次）；没有已完成的、最多读取 {columns} 列且仅用真实标签的试验，因此普通学生采用相同的参数。",
    "no_pictures": "报告没有图：{error}",
    "no_report": "无法生成报告：{error}",
}
