import MIL

/// What each opset of Core ML's language has, from the table of facts: independent of our own table of ops.
enum OpsetFacts {
    static let opsets = ["CoreML5", "CoreML6", "CoreML7", "CoreML8", "CoreML9"]

    struct Definition {
        /// The rank of the opset from which the definition holds.
        let since: Int
        let parameters: [Parameter]
    }

    struct Parameter {
        let name: String
        /// Nil takes any.
        let dtypes: Set<DataType>?
        let isOptional: Bool
        let isConstant: Bool
        /// Parameters with one letter share one type; nil for those that share none.
        let domain: String?
    }

    /// How an op stands in an opset; nil where the opset has no such op.
    static func definition(of op: String, _ opset: String) -> Definition? {
        guard let rank = opsets.firstIndex(of: opset) else { return nil }
        return definitions[op]?.last { $0.since <= rank }
    }

    /// The name that Core ML's plans give an op: with the system in front whose opset defined it last.
    static func writtenName(of op: String, _ opset: String) -> String {
        guard let since = definition(of: op, opset)?.since, since > 0 else { return op }
        return ["", "ios16.", "ios17.", "ios18.", "ios26."][since] + op
    }

    private static let definitions: [String: [Definition]] = {
        // What files say and the registry of the converter does not list under that name.
        let more = "write_state 3 input:* data:*\nclassify 0 probabilities:hf classes:*\n"
        var result: [String: [Definition]] = [:]
        for line in (more + opsetFactsTable).split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count >= 2, let since = Int(words[1]) else { continue }
            result[String(words[0]), default: []].append(
                Definition(since: since, parameters: words.dropFirst(2).map(parameter)))
        }
        return result
    }()

    private static let letters: [Character: DataType] = [
        "h": .float16, "f": .float32, "d": .float64, "b": .bool, "i": .int32, "c": .int8, "C": .uint8, "s": .int16,
        "S": .uint16, "I": .uint32, "t": .string,
    ]

    private static func parameter(_ word: Substring) -> Parameter {
        let parts = word.split(separator: ":", maxSplits: 1)
        let types = parts[1].split(separator: "=", maxSplits: 1)
        return Parameter(
            name: String(parts[0]), dtypes: types[0].contains("*") ? nil : Set(types[0].compactMap { letters[$0] }),
            isOptional: types[0].contains("?"), isConstant: types[0].contains("!"),
            domain: types.count > 1 ? String(types[1]) : nil)
    }
}
