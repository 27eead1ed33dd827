// What identifies a program by content: the key of caches, on disk too.

extension Program {
    /// A hash of what the program does, 64 hexadecimal digits; see `Function.digest`.
    public var digest: String {
        var hash = ContentHash()
        hash.add(defaultFunction)
        hash.add(functions.count)
        for function in functions { hash.add(function) }
        return hash.text
    }
}

extension Function {
    /// A hash of what the function does, 64 hexadecimal digits, the same in every process and on every machine.
    /// Names of values do not matter, except those of inputs and outputs; neither does the order of arguments, nor
    /// values that nothing uses. Constants count by type, shape and bytes.
    public var digest: String {
        var hash = ContentHash()
        hash.add(self)
        return hash.text
    }
}

extension Function {
    /// A digest for caches of this process that does not read constants of more than a megabyte. Those from a file with
    /// an `origin` are identified by that name of the file's version, all others by their address. The memory of the
    /// others is returned, too: the caller must hold it as long as the digest, so that the address is not used again.
    public func digestByIdentity() -> (digest: String, memory: [Storage]) {
        var hash = ContentHash()
        hash.memory = []
        hash.add(self)
        return (hash.text, hash.memory ?? [])
    }
}

/// Feeds programs to SHA-256 so that different contents give different bytes: every part is preceded by its length.
private struct ContentHash {
    private var sha = SHA256()
    /// Small parts gather here first.
    private var buffer: [UInt8] = []
    /// The number of each value in the order of appearance, -1 for those that have not appeared.
    private var numbers: [Int] = []
    private var appeared = 0
    /// Where it is not nil, large constants count by identity, and this is the memory that must be held for it.
    var memory: [Storage]?
    private static let largest = 1 << 20

    var text: String {
        var copy = self
        copy.flush()
        return SHA256.hexadecimal(copy.sha.finished())
    }

    private mutating func flush() {
        buffer.withUnsafeBytes { sha.update($0) }
        buffer.removeAll(keepingCapacity: true)
    }

    mutating func add(_ number: Int) {
        withUnsafeBytes(of: Int64(number).littleEndian) { buffer.append(contentsOf: $0) }
        if buffer.count > 4096 { flush() }
    }

    mutating func add(_ string: String) {
        add(string.utf8.count)
        buffer.append(contentsOf: string.utf8)
    }

    private mutating func add(_ type: TensorType) {
        add(Int(type.dtype.rawValue))
        add(type.shape.count)
        type.shape.forEach { add($0) }
    }

    private mutating func add(_ type: ValueType) {
        switch type {
        case .tensor(let type):
            add(0)
            add(type)
        case .list(let element, let length):
            add(1)
            add(length ?? -1)
            add(element)
        case .tuple(let members):
            add(2)
            add(members.count)
            for member in members { add(member) }
        case .dictionary(let key, let value):
            add(3)
            add(key)
            add(value)
        case .state(let type):
            add(4)
            add(type)
        }
    }

    private mutating func add(_ tensor: Tensor) {
        add(tensor.type)
        if tensor.dtype == .string {
            add(tensor.strings.count)
            for string in tensor.strings { add(string) }
        } else if memory != nil, tensor.bytes.count > ContentHash.largest {
            addIdentity(of: tensor)
        } else {
            flush()
            sha.update(tensor.bytes)
        }
    }

    private mutating func addIdentity(of tensor: Tensor) {
        add(tensor.storage.origin ?? "memory")
        add(tensor.byteOffset)
        guard tensor.storage.origin == nil else { return }
        add(Int(bitPattern: tensor.storage.pointer))
        memory?.append(tensor.storage)
    }

    mutating func add(_ function: Function) {
        numbers = [Int](repeating: -1, count: function.values.count)
        appeared = 0
        add(function.name)
        add(function.opset)
        for id in function.inputs + function.outputs { add(function[id].name) }
        add(function.block, of: function)
    }

    private mutating func add(_ block: Block, of function: Function) {
        add(block.inputs.count)
        for id in block.inputs { add(id, of: function) }
        add(block.operations.count)
        for operation in block.operations {
            add(operation.op)
            // A callback has no content to digest: each registration counts as another op, in every process.
            if let custom = OpTable[operation.op]?.custom { add(Int(truncatingIfNeeded: custom.identity)) }
            add(operation.arguments.count)
            for argument in operation.arguments.sorted(by: { $0.name < $1.name }) {
                add(argument.name)
                add(argument.values.count)
                for id in argument.values { add(id, of: function) }
            }
            add(operation.blocks.count)
            for block in operation.blocks { add(block, of: function) }
            add(operation.outputs.count)
            for id in operation.outputs { add(id, of: function) }
        }
        add(block.outputs.count)
        for id in block.outputs { add(id, of: function) }
    }

    /// A value's number, and where it appears first what it is.
    private mutating func add(_ id: ValueID, of function: Function) {
        let index = Int(id.index)
        if numbers[index] < 0 {
            numbers[index] = appeared
            appeared += 1
            add(numbers[index])
            add(function[id].type)
            add(function[id].constant == nil ? 0 : 1)
            if let constant = function[id].constant { add(constant) }
        } else {
            add(numbers[index])
        }
    }
}

/// SHA-256 of FIPS 180-4.
public struct SHA256: Sendable {
    private var state: SIMD8<UInt32> = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    private var pending: [UInt8] = []
    private var byteCount: UInt64 = 0

    public init() {}

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        byteCount += UInt64(bytes.count)
        var rest = bytes[...]
        if !pending.isEmpty {
            let taken = rest.prefix(64 - pending.count)
            pending.append(contentsOf: taken)
            rest = rest.dropFirst(taken.count)
            guard pending.count == 64 else { return }
            pending.withUnsafeBytes { SHA256.compress(&state, $0) }
            pending.removeAll(keepingCapacity: true)
        }
        let whole = rest.prefix(rest.count & ~63)
        SHA256.compress(&state, UnsafeRawBufferPointer(rebasing: whole))
        pending.append(contentsOf: rest.dropFirst(whole.count))
    }

    /// The 32 bytes of the hash of everything so far.
    public func finished() -> [UInt8] {
        var copy = self
        var padding = [UInt8](repeating: 0, count: (119 - Int(byteCount & 63)) & 63 + 1)
        padding[0] = 0x80
        withUnsafeBytes(of: (byteCount &* 8).bigEndian) { padding.append(contentsOf: $0) }
        padding.withUnsafeBytes { copy.update($0) }
        return (0..<8).flatMap { word in withUnsafeBytes(of: copy.state[word].bigEndian) { Array($0) } }
    }

    public static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
    private static let constants: [UInt32] = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
        0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
        0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
        0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
        0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ]

    private static func rotate(_ x: UInt32, _ by: UInt32) -> UInt32 { x &>> by | x &<< (32 &- by) }

    /// One round. Instead of moving all eight words by one place, the caller names them in turn.
    @inline(__always)
    private static func round(
        _ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: inout UInt32,
        _ e: UInt32, _ f: UInt32, _ g: UInt32, _ h: inout UInt32, _ word: UInt32
    ) {
        let sum = h &+ word &+ (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) &+ (g ^ e & (f ^ g))
        d = d &+ sum
        h = sum &+ (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) &+ (a & b | c & (a | b))
    }

    /// Takes in whole blocks of 64 bytes.
    private static func compress(_ state: inout SIMD8<UInt32>, _ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { buffer in
            constants.withUnsafeBufferPointer { constants in
                let (w, k) = (buffer.baseAddress!, constants.baseAddress!)
                for block in stride(from: 0, to: bytes.count, by: 64) {
                    for i in 0..<16 {
                        w[i] = UInt32(bigEndian: start.loadUnaligned(fromByteOffset: block &+ i &* 4, as: UInt32.self))
                    }
                    for i in 16..<64 {
                        let (x, y) = (w[i &- 15], w[i &- 2])
                        let low = rotate(x, 7) ^ rotate(x, 18) ^ x &>> 3
                        let high = rotate(y, 17) ^ rotate(y, 19) ^ y &>> 10
                        w[i] = w[i &- 16] &+ low &+ w[i &- 7] &+ high
                    }
                    var (a, b, c, d) = (state[0], state[1], state[2], state[3])
                    var (e, f, g, h) = (state[4], state[5], state[6], state[7])
                    var i = 0
                    while i < 64 {
                        round(a, b, c, &d, e, f, g, &h, w[i] &+ k[i])
                        round(h, a, b, &c, d, e, f, &g, w[i &+ 1] &+ k[i &+ 1])
                        round(g, h, a, &b, c, d, e, &f, w[i &+ 2] &+ k[i &+ 2])
                        round(f, g, h, &a, b, c, d, &e, w[i &+ 3] &+ k[i &+ 3])
                        round(e, f, g, &h, a, b, c, &d, w[i &+ 4] &+ k[i &+ 4])
                        round(d, e, f, &g, h, a, b, &c, w[i &+ 5] &+ k[i &+ 5])
                        round(c, d, e, &f, g, h, a, &b, w[i &+ 6] &+ k[i &+ 6])
                        round(b, c, d, &e, f, g, h, &a, w[i &+ 7] &+ k[i &+ 7])
                        i &+= 8
                    }
                    state = state &+ SIMD8(a, b, c, d, e, f, g, h)
                }
            }
        }
    }
}
