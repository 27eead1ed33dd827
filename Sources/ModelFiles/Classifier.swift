import MIL

extension Function {
    /// Takes the closing `classify` out of the function: the label and the dictionary belong to the interface, the
    /// function returns the scores.
    mutating func takeClassifier(_ interface: Interface) throws -> Interface.Classifier? {
        guard let index = block.operations.lastIndex(where: { $0.op == "classify" }) else { return nil }
        let operation = block.operations[index]
        guard operation.outputs.count == 2, let scores = operation["probabilities"]?.first,
            let classes = operation["classes"]?.first, let constant = self[classes].constant
        else {
            throw Failure(.malformed, "op 'classify' must have probabilities, constant classes and two outputs.")
        }
        let labels: Interface.Labels
        if constant.dtype == .string {
            labels = .strings(constant.strings)
        } else if let integers = constant.ints {
            labels = .integers(integers)
        } else {
            throw Failure(.malformed, "op 'classify' must have texts or integers as classes.")
        }
        let type = try tensorType(scores)
        guard !type.isFixed || type.count == labels.count else {
            throw Failure(.malformed, "op 'classify' has \(type.count) probabilities for \(labels.count) classes.")
        }
        let made = Set(operation.outputs)
        guard block.operations[(index + 1)...].allSatisfy({ made.isDisjoint(with: $0.inputs) }) else {
            throw Failure(.unsupported, "op 'classify' must come last; its label is used by another operation.")
        }
        block.operations.remove(at: index)
        block.outputs.removeAll { made.contains($0) }
        if !block.outputs.contains(scores) { block.outputs.append(scores) }
        return Interface.Classifier(
            scores: self[scores].name, labels: labels, labelFeature: self[operation.outputs[0]].name,
            probabilitiesFeature: self[operation.outputs[1]].name)
    }
}
