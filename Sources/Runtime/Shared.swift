import MIL

extension Op {
    var shared: [String] {
        let pairs = [["x", "y"], ["a", "b"]].filter { $0.allSatisfy { parameter($0) != nil } }
        return (pairs.first ?? []) + (name == "concat" || name == "stack" ? ["values"] : [])
    }
}
