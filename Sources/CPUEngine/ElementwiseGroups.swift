import CKernels
import MIL

/// Which elementwise operations run together as one tape. A group is named by its last operation, the root; an inner
/// operation is read by its group only, with results of the root's shape, so that nothing is computed twice.
struct ElementwiseGroups {
    /// The root of each elementwise operation's group, by operation index.
    private var root: [Int?]
    /// Operations of a group in order, the root last.
    private(set) var members: [Int: [Int]] = [:]

    init(_ function: Function, readers: [[Int]], outputs: Set<ValueID>, except: Set<Int>) {
        var root = [Int?](repeating: nil, count: function.operations.count)
        var leaves: [Int: Set<ValueID>] = [:]
        for (index, operation) in function.operations.enumerated().reversed()
        where Tape.cells[operation.op] != nil && !except.contains(index) {
            let id = operation.outputs[0]
            root[index] = index
            let inputs = Set(operation.inputs.filter { function[$0].type.tensor?.dtype != .string })
            let candidates = Set(readers[Int(id.index)].map { root[$0] })
            if !outputs.contains(id), candidates.count == 1, case .some(.some(let candidate)) = candidates.first,
                function[function.operations[candidate].outputs[0]].type.tensor?.shape
                    == function[id].type.tensor?.shape
            {
                // A tape has a limited number of registers.
                let merged = leaves[candidate, default: []].subtracting([id]).union(inputs)
                if merged.count <= 12, members[candidate]!.count < 14 {
                    root[index] = candidate
                    leaves[candidate] = merged
                    members[candidate]!.append(index)
                    continue
                }
            }
            leaves[index] = inputs
            members[index] = [index]
        }
        for key in members.keys { members[key]!.sort() }
        self.root = root
    }

    /// Whether an operation is computed by the group of a later one.
    func isInner(_ index: Int) -> Bool { root[index].map { $0 != index } ?? false }

    /// Takes an operation out of its group, because another kernel computes it.
    mutating func remove(_ index: Int) {
        guard let key = root[index] else { return }
        root[index] = nil
        members[key]?.removeAll { $0 == index }
    }
}
